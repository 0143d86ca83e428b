//! x
use std::time::*;
use testvm::machine::*;
fn main() {
    let a: Vec<String> = std::env::args().collect();
    let n = a[1].parse().unwrap();
    let rate = a.get(2).and_then(|s| s.parse().ok());
    std::fs::create_dir_all("/tmp/tvm").unwrap();
    let m = Machine::new(&Config { ncpus: n, memory: 64 << 20, ram: None, serial: Some("/tmp/tvm".into()), rate }).unwrap();
    m.boot().unwrap();
    m.resume();
    for i in 0..8 {
        std::thread::sleep(Duration::from_millis(500));
        for c in 0..n { println!("{:?}", m.status(c).unwrap()); }
        println!("{:?}", m.ended());
        let t = Instant::now();
        let d: u32 = m.vm().take_dirty().unwrap().iter().map(|w| w.count_ones()).sum();
        println!("dirty {d} {:?}", t.elapsed());
        let t = Instant::now();
        m.pause();
        println!("paused in {:?}", t.elapsed());
        let s = m.cpu(0).unwrap();
        println!("{:x?} waiting {:x}", s.regs, testvm::guest::waiting());
        if i == 0 { println!("{:x?} {:x?} {:x?} {:x?} {:x} {:x?} {:x?}", s.segments.tr, s.segments.ldtr, s.gdtr, s.idtr, s.xcr0, s.cr, s.debug); for m in testvm::kvm::Msr::ALL { println!("{m:?} {:x}", s.msr(m)); }  for i in (0..0x400).step_by(16) { if s.apic(i) != 0 { println!("apic {i:x} {:x}", s.apic(i)); }}}
        m.resume();
    }
}
