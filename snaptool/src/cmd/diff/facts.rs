//! What differs but for RAM: one model for both outputs, described in `spec/diff.md`.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value, json};
use snapfmt::bhyve;
use snapfmt::digest::Digest;
use snapfmt::layout::header::Header;
use snapfmt::part::config::ConfigText;
use snapfmt::part::vm::Vm;

use super::ignore::Ignore;
use super::records::Records;
use super::state::State;
use crate::text::{escape, size, time};

/// Raised when a field changes its meaning or goes away.
const SCHEMA: u32 = 1;

/// Everything that is known before RAM was read.
#[derive(Debug, Serialize)]
pub(super) struct Facts {
    schema: u32,
    /// What was left out.
    ignore: Vec<Ignore>,
    pub(super) a: Input,
    pub(super) b: Input,
    pub(super) header: Vec<Difference>,
    pub(super) machine: Vec<Difference>,
    pub(super) config: Vec<Difference>,
    pub(super) meta: Vec<Difference>,
    pub(super) records: Records,
}

/// One input.
#[derive(Debug, Serialize)]
pub(super) struct Input {
    pub(super) input: String,
    /// `snapshot` or `three-file`.
    pub(super) kind: &'static str,
    root: Option<String>,
    pub(super) content: Option<String>,
    header: Option<Value>,
}

/// A fact that is not the same on both sides.
#[derive(Debug, Serialize)]
pub(super) struct Difference {
    pub(super) what: String,
    /// Whether `content` covers it.
    pub(super) decides: bool,
    a: Value,
    b: Value,
    #[serde(skip)]
    pub(super) words: [String; 2],
}

impl Facts {
    pub(super) fn of(a: &State<'_>, b: &State<'_>, records: Records, ignore: &[Ignore]) -> Self {
        let headers = a.header.as_ref().zip(b.header.as_ref());
        Self {
            schema: SCHEMA,
            ignore: ignore.to_vec(),
            a: input(a),
            b: input(b),
            header: headers.map(|(a, b)| header(a, b)).unwrap_or_default(),
            machine: machine(&a.vm, &b.vm),
            config: differing(&config(a.config.as_ref()), &config(b.config.as_ref())),
            meta: differing(&meta(a), &meta(b)),
            records,
        }
    }

    /// Whether something differs, besides RAM, that `content` covers.
    pub(super) fn differ(&self) -> bool {
        self.machine.iter().any(|one| one.decides) || !self.records.changed.is_empty()
    }
}

fn input(state: &State<'_>) -> Input {
    let digest = |digest: Option<Digest>| digest.map(|digest| digest.to_string());
    let header = state.header.as_ref().map(|header| {
        let Header { producer, uuid, vm_name, vm_uuid, created, incompatible, compatible, .. } =
            header;
        json!({
            "producer": producer, "uuid": uuid, "vm_name": vm_name, "vm_uuid": vm_uuid,
            "created": created, "incompatible": incompatible, "compatible": compatible,
        })
    });
    let (root, content) = (digest(state.root), digest(state.content));
    Input { input: state.input.clone(), kind: state.kind, root, content, header }
}

/// A fact with its words for people; nothing if both sides agree.
fn differ(
    what: impl Into<String>,
    decides: bool,
    sides: [Value; 2],
    words: impl Fn(&Value) -> String,
) -> Option<Difference> {
    let [a, b] = sides;
    let words = [words(&a), words(&b)];
    (a != b).then(|| Difference { what: what.into(), decides, a, b, words })
}

fn plain(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => escape(text),
        other => escape(&other.to_string()),
    }
}

fn header(a: &Header, b: &Header) -> Vec<Difference> {
    let created = |value: &Value| {
        let seconds = value.as_u64().and_then(|seconds| i64::try_from(seconds).ok());
        seconds.map_or_else(|| "never".to_owned(), time)
    };
    let list = [
        differ("producer", false, [json!(a.producer), json!(b.producer)], plain),
        differ("uuid", false, [json!(a.uuid), json!(b.uuid)], plain),
        differ("vm_name", false, [json!(a.vm_name), json!(b.vm_name)], plain),
        differ("vm_uuid", false, [json!(a.vm_uuid), json!(b.vm_uuid)], plain),
        differ("created", false, [json!(a.created), json!(b.created)], created),
        differ("incompatible", false, [json!(a.incompatible), json!(b.incompatible)], plain),
        differ("compatible", false, [json!(a.compatible), json!(b.compatible)], plain),
    ];
    list.into_iter().flatten().collect()
}

fn machine(a: &Vm, b: &Vm) -> Vec<Difference> {
    let map = |vm: &Vm| {
        let segments = vm.memory.segments().iter();
        json!(segments.map(|s| json!({ "gpa": s.gpa, "len": s.len })).collect::<Vec<_>>())
    };
    let segments = |value: &Value| {
        let number = |segment: &Value, key: &str| segment.get(key).and_then(Value::as_u64);
        let one = |segment: &Value| {
            let (gpa, len) = (number(segment, "gpa"), number(segment, "len"));
            format!("{} at {:#x}", size(len.unwrap_or(0)), gpa.unwrap_or(0))
        };
        let all = value.as_array().into_iter().flatten();
        all.map(one).collect::<Vec<_>>().join(", ")
    };
    let bytes = |value: &Value| size(value.as_u64().unwrap_or(0));
    let list = [
        differ("arch", true, [json!(a.arch), json!(b.arch)], plain),
        differ("name", false, [json!(a.name), json!(b.name)], plain),
        differ("ncpus", true, [json!(a.ncpus), json!(b.ncpus)], plain),
        differ("memsize", true, [json!(a.memory.size()), json!(b.memory.size())], bytes),
        differ("memflags", false, [json!(a.memflags), json!(b.memflags)], plain),
        differ("map", true, [map(a), map(b)], segments),
    ];
    list.into_iter().flatten().collect()
}

type Named = BTreeMap<String, Value>;

/// None of these is part of `content`.
fn differing(a: &Named, b: &Named) -> Vec<Difference> {
    let names = a.keys().chain(b.keys().filter(|name| !a.contains_key(*name)));
    let value = |list: &Named, name| list.get(name).cloned().unwrap_or_default();
    names.filter_map(|name| differ(name, false, [value(a, name), value(b, name)], plain)).collect()
}

fn meta(state: &State<'_>) -> Named {
    let Some(meta) = &state.meta else { return Named::new() };
    let digest = Digest::of(&meta.text).to_string();
    let facts = [
        ("generation", json!(meta.generation.to_string())),
        ("size", json!(meta.text.len())),
        ("sha256", json!(digest)),
    ];
    facts.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn config(config: Option<&ConfigText>) -> Named {
    let mut facts = Named::new();
    let Some(config) = config else { return facts };
    let mut add = |name: &str, value: Value| facts.insert(name.to_owned(), value);
    add("kind", json!(config.kind));
    add("size", json!(config.text.len()));
    add("sha256", json!(Digest::of(&config.text).to_string()));
    if let Ok(settings) = bhyve::Config::parse(&config.text) {
        add("name", json!(settings.name));
        add("ncpus", json!(settings.ncpus));
        add("memsize", json!(settings.memsize));
        add("uuid", json!(settings.uuid));
        add("bootrom", json!(settings.bootrom));
        add("bootvars", json!(settings.bootvars));
        for disk in settings.disks {
            let what = json!({ "device": disk.device, "path": disk.path });
            add(&format!("disk {}", disk.slot), what);
        }
    }
    for file in &config.files {
        let digest = file.sha256.map(|digest| digest.to_string());
        let what = json!({ "role": file.role, "size": file.size, "sha256": digest });
        add(&format!("file {}", file.path), what);
    }
    facts
}
