//! Loads the vectors of libnv's packed lists; their README says how a line gives the bytes.

use std::fs;
use std::path::Path;

use serde_json::Value as Json;
use snapfmt::Digest;

/// One vector: its bytes and all that is said of it.
pub struct Vector {
    /// Its name.
    pub name: String,
    /// The packed list.
    pub bytes: Vec<u8>,
    /// Its description.
    pub json: Json,
}

/// The vectors in `file`, each of the size and digest that its line says.
///
/// # Panics
/// If the file is not as the README says.
#[must_use]
pub fn load(file: &str) -> Vec<Vector> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../spec/vectors/nvlist");
    let vector = |line: &str| {
        let json: Json = serde_json::from_str(line).expect("JSON");
        let hex = |key: &str| json[key].as_str().map(|text| hex::decode(text).expect("hex"));
        let zstd = || hex("zstd_hex").map(|bytes| zstd::decode_all(&*bytes).expect("zstd"));
        let pieces = || json["files"].as_array().expect("hex, zstd_hex or files").iter();
        let piece = |name: &Json| fs::read(folder.join(name.as_str().expect("a name")));
        let bytes = hex("hex").or_else(zstd);
        let bytes = bytes.unwrap_or_else(|| pieces().flat_map(|n| piece(n).expect("it")).collect());
        let name = json["name"].as_str().expect("a name").to_owned();
        assert_eq!(json["size"], bytes.len(), "{name}");
        assert_eq!(json["sha256"], Digest::of(&bytes).to_string(), "{name}");
        Vector { name, bytes, json }
    };
    let text = fs::read_to_string(folder.join(file)).expect("the vectors");
    text.lines().map(vector).collect()
}
