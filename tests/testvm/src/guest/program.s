# The guest: one program for every virtual CPU, position independent, in 64-bit mode at privilege
# level 3 with I/O privilege. Names in braces are constants of `layout.rs`.
#
# Lives in registers from visit to visit, each beside a copy in the control page:
#   r15 control page (also the base of fs; gs has the page of the ring)   r14 hash   rbp ~hash
#   r13 sweeps done   r12 visits of this sweep   r11 pages   r10 address of the first of them
#   r9 page to visit next   r8 visits in all   rbx visits left of the batch   xmm0-15 hash + table
# rax, rcx, rdx, rsi, rdi are for work; around the question for work they carry the hash too.

    .pushsection .rodata.testvm_guest, "a", @progbits
    .balign 4096
    .globl testvm_guest_begin, testvm_guest_asked, testvm_guest_end

# Says that `found` is not `wanted`; both may be rax, rdx.
    .macro complain text
    lea rdi, [rip + \text]
    call .Lguest_violation
    .endm

# A register that has to equal its copy; goes on with the copy.
    .macro holds register, field, text
    mov rdx, [r15 + \field]
    cmp \register, rdx
    je 77f
    mov rax, \register
    complain \text
    mov \register, rdx
77:
    .endm

testvm_guest_begin:
    ldmxcsr [rip + .Lguest_mxcsr]
    call .Lguest_reload
    mov esi, {LAPIC}
    mov dword ptr [rsi + 0xf0], 0x1ff
    mov dword ptr [rsi + 0x320], 0x10020
    mov dword ptr [rsi + 0x3e0], 0xb
    call .Lguest_devices
.Lguest_loop:
    call .Lguest_check
    test rbx, rbx
    jnz 1f
    call .Lguest_ask
    jmp .Lguest_loop
1:  call .Lguest_visit
    jmp .Lguest_loop

# All carriers from the control page.
.Lguest_reload:
    mov r14, [r15 + {HASH}]
    mov r13, [r15 + {SWEEPS}]
    mov r12, [r15 + {CURSOR}]
    mov r11, [r15 + {PAGES}]
    mov r10, [r15 + {BASE}]
    mov r9, [r15 + {POSITION}]
    mov r8, [r15 + {VISITS}]
    mov rbx, [r15 + {BATCH}]
    mov rbp, r14
    not rbp
    movq xmm0, r14
    punpcklqdq xmm0, xmm0
    .irp n, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4
    movdqa xmm\n, xmm0
    paddq xmm\n, [rip + .Lguest_table + 16 * \n]
    .endr

# xmm0 to xmm3, which visits use, from the hash.
.Lguest_carry:
    movq xmm0, r14
    punpcklqdq xmm0, xmm0
    .irp n, 3, 2, 1, 0
    .ifnc \n, 0
    movdqa xmm\n, xmm0
    .endif
    paddq xmm\n, [rip + .Lguest_table + 16 * \n]
    .endr
    ret

# Holds the carriers against each other and against the control page.
.Lguest_check:
    mov rax, fs:[{SELF}]
    mov rdx, r15
    cmp rax, rdx
    je 1f
    complain .Lguest_text_fs
1:  mov rax, gs:[0]
    lea rdx, [r15 + 4096]
    cmp rax, rdx
    je 1f
    complain .Lguest_text_gs
1:  holds r14, {HASH}, .Lguest_text_r14
    holds r13, {SWEEPS}, .Lguest_text_r13
    holds r12, {CURSOR}, .Lguest_text_r12
    holds r11, {PAGES}, .Lguest_text_r11
    holds r10, {BASE}, .Lguest_text_r10
    holds r9, {POSITION}, .Lguest_text_r9
    holds r8, {VISITS}, .Lguest_text_r8
    holds rbx, {BATCH}, .Lguest_text_rbx
    mov rdx, r14
    not rdx
    mov rax, rbp
    cmp rax, rdx
    je 1f
    complain .Lguest_text_rbp
    mov rbp, rdx
1:  lea rdx, [r15 + {STACK_TOP} - 8]
    mov rax, rsp
    cmp rax, rdx
    je 1f
    complain .Lguest_text_rsp
1:  push rax
    stmxcsr [rsp]
    pop rax
    mov eax, eax
    mov edx, [rip + .Lguest_mxcsr]
    cmp rax, rdx
    je 1f
    complain .Lguest_text_mxcsr
    ldmxcsr [rip + .Lguest_mxcsr]
1:  sub rsp, 256
    .irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    movdqu [rsp + 16 * \n], xmm\n
    .endr
    lea rsi, [rip + .Lguest_table]
    xor ecx, ecx
2:  mov rax, [rsp + 8 * rcx]
    mov rdx, [rsi + 8 * rcx]
    add rdx, r14
    cmp rax, rdx
    jne 3f
    inc ecx
    cmp ecx, 32
    jb 2b
    add rsp, 256
    ret
3:  add rsp, 256
    complain .Lguest_text_xmm
    jmp .Lguest_reload

# Stamps the time, and asks how many pages to visit now. The virtual machine is mostly here.
.Lguest_ask:
    call .Lguest_stamp
    mov rsi, r14
    rol rsi, 1
    mov rdi, r14
    rol rdi, 2
    mov rcx, r14
    rol rcx, 3
    mov edx, {PORT_WORK}
    cmp r14, rbp
    in eax, dx
testvm_guest_asked:
    mov rbx, rax
    pushfq
    pop rax
    cmp rdx, {PORT_WORK}
    je 1f
    push rax
    push rdi
    mov rax, rdx
    mov edx, {PORT_WORK}
    complain .Lguest_text_rdx
    pop rdi
    pop rax
1:  cmp r14, rbp
    pushfq
    pop rdx
    and eax, 0xcd5
    and edx, 0x8d5
    cmp rax, rdx
    je 1f
    push rdi
    complain .Lguest_text_rflags
    pop rdi
    cld
1:  mov rdx, r14
    rol rdx, 2
    mov rax, rdi
    cmp rax, rdx
    je 1f
    complain .Lguest_text_rdi
1:  mov rdx, r14
    rol rdx, 1
    mov rax, rsi
    cmp rax, rdx
    je 1f
    complain .Lguest_text_rsi
1:  mov rdx, r14
    rol rdx, 3
    mov rax, rcx
    cmp rax, rdx
    je 1f
    complain .Lguest_text_rcx
1:  cmp rbx, {MAX_BATCH}
    jbe 1f
    mov rax, rbx
    mov edx, {MAX_BATCH}
    complain .Lguest_text_rax
    xor ebx, ebx
1:  mov [r15 + {BATCH}], rbx
    ret

# Checks a page as the last visit left it, and writes it anew: its address, the sweep, the hash as a
# key, and words that follow from the key. The hash takes in the key that it found.
.Lguest_visit:
    mov rdi, r9
    shl rdi, 12
    add rdi, r10
    mov rsi, [rdi + 16]
    test r13, r13
    jz .Lguest_paint
    mov rax, [rdi]
    movabs rdx, {IDENTITY}
    xor rdx, rdi
    cmp rax, rdx
    je 1f
    push rdi
    complain .Lguest_text_page_address
    pop rdi
1:  mov rax, [rdi + 8]
    mov rdx, r13
    cmp rax, rdx
    je 1f
    push rdi
    complain .Lguest_text_page_sweep
    pop rdi
1:  mov rax, [rdi + 24]
    lea rdx, [rsi + 3]
    cmp rax, rdx
    je 1f
    push rdi
    complain .Lguest_text_page_word
    pop rdi
1:  movq xmm0, rsi
    punpcklqdq xmm0, xmm0
    paddq xmm0, [rip + .Lguest_first]
    movdqa xmm1, [rip + .Lguest_step]
    pxor xmm3, xmm3
    mov ecx, 32
2:  movdqa xmm2, [rdi + rcx]
    pxor xmm2, xmm0
    por xmm3, xmm2
    paddq xmm0, xmm1
    add ecx, 16
    cmp ecx, 4096
    jb 2b
    packsswb xmm3, xmm3
    movq rax, xmm3
    test rax, rax
    jz 1f
    push rdi
    xor edx, edx
    complain .Lguest_text_page_words
    pop rdi
1:  add [r15 + {SUM_FOUND}], rsi
.Lguest_paint:
    mov rax, r14
    rol rax, 17
    imul rax, [rip + .Lguest_multiplier]
    add rax, rsi
    add rax, rdi
    mov rdx, rax
    sub rdx, r14
    mov r14, rax
    mov [r15 + {HASH}], rax
    mov rbp, rax
    not rbp
    add [r15 + {SUM_WRITTEN}], rax
    movq xmm0, rdx
    punpcklqdq xmm0, xmm0
    .irp n, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    paddq xmm\n, xmm0
    .endr
    movabs rdx, {IDENTITY}
    xor rdx, rdi
    mov [rdi], rdx
    lea rdx, [r13 + 1]
    mov [rdi + 8], rdx
    mov [rdi + 16], rax
    lea rdx, [rax + 3]
    mov [rdi + 24], rdx
    movq xmm0, rax
    punpcklqdq xmm0, xmm0
    paddq xmm0, [rip + .Lguest_first]
    movdqa xmm1, [rip + .Lguest_step]
    mov ecx, 32
1:  movdqa [rdi + rcx], xmm0
    paddq xmm0, xmm1
    add ecx, 16
    cmp ecx, 4096
    jb 1b
    call .Lguest_carry
    add r9, [r15 + {STRIDE}]
    cmp r9, r11
    jb 1f
    sub r9, r11
1:  mov [r15 + {POSITION}], r9
    inc r8
    mov [r15 + {VISITS}], r8
    dec rbx
    mov [r15 + {BATCH}], rbx
    inc r12
    mov [r15 + {CURSOR}], r12
    cmp r12, r11
    jae 1f
    ret

# The end of a sweep: the keys that it found are those that the sweep before it wrote.
1:  xor r12d, r12d
    mov [r15 + {CURSOR}], r12
    mov rax, [r15 + {SUM_FOUND}]
    mov rdx, [r15 + {SUM_WANTED}]
    cmp rax, rdx
    je 1f
    complain .Lguest_text_sum
1:  mov rax, [r15 + {SUM_WRITTEN}]
    mov [r15 + {SUM_WANTED}], rax
    xor eax, eax
    mov [r15 + {SUM_FOUND}], rax
    mov [r15 + {SUM_WRITTEN}], rax
    inc r13
    mov [r15 + {SWEEPS}], r13
# The page tables and this program never change.
    xor esi, esi
    xor eax, eax
2:  rol rax, 5
    add rax, [rsi]
    add esi, 8
    cmp esi, {CONSTANT_END}
    jb 2b
    mov rdx, [r15 + {CONSTANT_SUM}]
    mov [r15 + {CONSTANT_SUM}], rax
    test rdx, rdx
    jz 3f
    cmp rax, rdx
    je 3f
    complain .Lguest_text_constant
3:  ret

# Takes the time, and keeps the largest gap between two stamps.
.Lguest_stamp:
    mov edx, {PORT_CLOCK}
    in eax, dx
    mov edx, eax
    mov rcx, [r15 + {CLOCK}]
    mov [r15 + {CLOCK}], rdx
    test rcx, rcx
    jz 4f
    sub eax, ecx
    cmp rax, [r15 + {GAP}]
    jbe 1f
    mov [r15 + {GAP}], rax
1:  cmp rax, [r15 + {GAP_MAX}]
    jbe 2f
    mov [r15 + {GAP_MAX}], rax
2:  mov eax, edx
    sub eax, [r15 + {BEAT_CLOCK}]
    cmp eax, {BEAT_MICROSECONDS}
    jae .Lguest_beat
    ret
4:  mov [r15 + {BEAT_CLOCK}], rdx
    ret

# Keeps the largest gap in the ring, reports, and holds the devices against the control page.
.Lguest_beat:
    mov [r15 + {BEAT_CLOCK}], rdx
    mov rcx, [r15 + {RING}]
    mov rsi, rdx
    mov rax, gs:[8 * rcx]
    mov rdx, [r15 + {RING_LAST}]
    cmp rax, rdx
    je 1f
    complain .Lguest_text_ring
1:  inc ecx
    cmp ecx, 512
    jb 1f
    mov ecx, 1
1:  mov rdx, [r15 + {GAP}]
    shl rdx, 32
    or rdx, rsi
    mov gs:[8 * rcx], rdx
    mov [r15 + {RING}], rcx
    mov [r15 + {RING_LAST}], rdx
    inc qword ptr [r15 + {BEATS}]
    .irp name, beat, visits, sweeps, gap, max, violations
    lea rdi, [rip + .Lguest_text_\name]
    call .Lguest_print
    .ifc \name, beat
    mov rax, [r15 + {BEATS}]
    .endif
    .ifc \name, visits
    mov rax, r8
    .endif
    .ifc \name, sweeps
    mov rax, r13
    .endif
    .ifc \name, gap
    mov rax, [r15 + {GAP}]
    .endif
    .ifc \name, max
    mov rax, [r15 + {GAP_MAX}]
    .endif
    .ifc \name, violations
    mov rax, [r15 + {VIOLATIONS}]
    .endif
    call .Lguest_print_number
    .endr
    lea rdi, [rip + .Lguest_text_end]
    call .Lguest_print
    xor eax, eax
    mov [r15 + {GAP}], rax

# What the devices have to remember since the last beat; then it gives them something new.
.Lguest_devices:
    mov rcx, [r15 + {BEATS}]
    mov edx, [r15 + {COM}]
    add edx, 7
    in al, dx
    movzx eax, al
    mov rdx, [r15 + {SCRATCH}]
    cmp rax, rdx
    je 1f
    jrcxz 1f
    complain .Lguest_text_scratch
1:  movzx eax, r14b
    mov [r15 + {SCRATCH}], rax
    mov edx, [r15 + {COM}]
    add edx, 7
    out dx, al
    mov edx, {PORT_TIMER}
    in eax, dx
    mov rdx, [r15 + {TIMER}]
    mov [r15 + {TIMER}], rax
    jrcxz 2f
    mov esi, eax
    sub esi, edx
    jns 2f
    complain .Lguest_text_timer
2:  call .Lguest_lapic
    cmp dword ptr [r15 + {INDEX}], 0
    je .Lguest_cmos
    ret

.Lguest_lapic:
    mov esi, {LAPIC}
    mov eax, [rsi + 0x20]
    shr eax, 24
    mov rdx, [r15 + {INDEX}]
    cmp rax, rdx
    je 1f
    complain .Lguest_text_lapic_id
1:  jrcxz 4f
    mov eax, [rsi + 0x370]
    movzx edx, byte ptr [r15 + {LAPIC_GIVEN}]
    and edx, 0x3f
    add edx, 0x10020
    cmp rax, rdx
    je 2f
    complain .Lguest_text_lapic_lvt
2:  mov eax, [rsi + 0xd0]
    mov edx, [r15 + {LAPIC_GIVEN}]
    and edx, 0xff000000
    cmp rax, rdx
    je 3f
    complain .Lguest_text_lapic_ldr
3:  mov eax, [rsi + 0x380]
    mov edx, [r15 + {LAPIC_GIVEN}]
    cmp rax, rdx
    je 4f
    complain .Lguest_text_lapic_timer
4:  mov eax, r14d
    mov [r15 + {LAPIC_GIVEN}], rax
    mov [rsi + 0x380], eax
    movzx edx, al
    and edx, 0x3f
    add edx, 0x10020
    mov [rsi + 0x370], edx
    and eax, 0xff000000
    mov [rsi + 0xd0], eax
    ret

.Lguest_cmos:
    push rbx
    xor ebx, ebx
    mov esi, {CMOS_FIRST}
5:  mov eax, esi
    out 0x70, al
    in al, 0x71
    shl rbx, 8
    mov bl, al
    inc esi
    cmp esi, {CMOS_FIRST} + 8
    jb 5b
    mov rax, rbx
    pop rbx
    mov rdx, [r15 + {CMOS}]
    cmp rax, rdx
    je 6f
    jrcxz 6f
    complain .Lguest_text_cmos
6:  mov [r15 + {CMOS}], r14
    mov rdx, r14
    mov esi, {CMOS_FIRST}
7:  mov eax, esi
    out 0x70, al
    rol rdx, 8
    mov al, dl
    out 0x71, al
    inc esi
    cmp esi, {CMOS_FIRST} + 8
    jb 7b
    ret

# Reports that rdi does not hold: rax was found, rdx was wanted. Keeps all registers.
.Lguest_violation:
    inc qword ptr [r15 + {VIOLATIONS}]
    cmp qword ptr [r15 + {VIOLATIONS}], {MAX_REPORTS}
    ja 1f
    push rax
    push rdx
    push rcx
    push rsi
    push rdi
    push rdx
    push rax
    push rdi
    lea rdi, [rip + .Lguest_text_violation]
    call .Lguest_print
    pop rdi
    call .Lguest_print
    lea rdi, [rip + .Lguest_text_found]
    call .Lguest_print
    pop rax
    call .Lguest_print_hex
    lea rdi, [rip + .Lguest_text_wanted]
    call .Lguest_print
    pop rax
    call .Lguest_print_hex
    lea rdi, [rip + .Lguest_text_end]
    call .Lguest_print
    pop rdi
    pop rsi
    pop rcx
    pop rdx
    pop rax
1:  ret

# The text at rdi, up to its NUL, to the serial port.
.Lguest_print:
    mov edx, [r15 + {COM}]
1:  mov al, [rdi]
    test al, al
    jz 2f
    out dx, al
    inc rdi
    jmp 1b
2:  ret

# rax in decimal.
.Lguest_print_number:
    sub rsp, 24
    lea rdi, [rsp + 23]
    mov byte ptr [rdi], 0
    mov ecx, 10
1:  xor edx, edx
    div rcx
    add dl, 48
    dec rdi
    mov [rdi], dl
    test rax, rax
    jnz 1b
    call .Lguest_print
    add rsp, 24
    ret

# rax in hexadecimal.
.Lguest_print_hex:
    sub rsp, 24
    lea rdi, [rsp + 23]
    mov byte ptr [rdi], 0
1:  mov edx, eax
    and edx, 15
    add dl, 48
    cmp dl, 58
    jb 2f
    add dl, 39
2:  dec rdi
    mov [rdi], dl
    shr rax, 4
    jnz 1b
    call .Lguest_print
    add rsp, 24
    ret

    .balign 16
.Lguest_table:
    .set number, 1
    .rept 32
    .quad 0x0123456789abcd * number
    .set number, number + 1
    .endr
.Lguest_first:
    .quad 4, 5
.Lguest_step:
    .quad 2, 2
.Lguest_multiplier:
    .quad 0x9e3779b97f4a7c15
# Denormals are zero, results are flushed to zero, no exceptions: not what a reset sets.
.Lguest_mxcsr:
    .long 0x9fc0

    .macro text name, words
.Lguest_text_\name:
    .asciz "\words"
    .endm
    text beat, "beat "
    text visits, " visits "
    text sweeps, " sweeps "
    text gap, " gap "
    text max, " max "
    text violations, " violations "
    text end, "\n"
    text violation, "violation: "
    text found, ": found 0x"
    text wanted, ", wanted 0x"
    .irp register, rax, rcx, rdx, rsi, rdi, rbx, rbp, rsp, r8, r9, r10, r11, r12, r13, r14
    text \register, "\register"
    .endr
    text fs, "base of fs"
    text gs, "base of gs"
    text rflags, "rflags"
    text mxcsr, "mxcsr"
    text xmm, "xmm"
    text page_address, "address in a page"
    text page_sweep, "sweep of a page"
    text page_word, "word of a page"
    text page_words, "words of a page"
    text sum, "keys of a sweep"
    text constant, "page tables and program"
    text ring, "ring of gaps"
    text scratch, "scratch register of the serial port"
    text timer, "ACPI timer"
    text lapic_id, "id of the local APIC"
    text lapic_lvt, "error entry of the local APIC"
    text lapic_ldr, "logical id of the local APIC"
    text lapic_timer, "timer of the local APIC"
    text cmos, "CMOS memory"
testvm_guest_end:
    .popsection
