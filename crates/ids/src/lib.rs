//! Legacy id → UUID. Pure: the same id in the same namespace is the same UUID, here and in SQL, today and in ten years.
//!
//! - An integer key: UUIDv5 of its decimal digits in the entity's namespace.
//! - A text key that is a UUID (32 hex digits, or 36 characters with hyphens at 8-4-4-4-12; any case, any version): its
//!   16 bytes.
//! - Any other text: UUIDv5 of the UTF-8 text as it stands, spaces and case included.
//! - If another row holds these bytes already: the next of [`candidates`].

mod sql;

pub use sql::{KeyKind, sql_expression};

use change::Cell;
use uuid::Uuid;

/// The deployment namespace unless the settings name another: UUIDv5 of the DNS namespace and `crossfade`.
pub fn default_namespace() -> Uuid {
    Uuid::new_v5(&Uuid::NAMESPACE_DNS, b"crossfade")
}

/// The namespace of one entity's ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Namespace(Uuid);

impl Namespace {
    /// UUIDv5 of the entity's name (its table's) in the deployment namespace.
    pub fn of(deployment: Uuid, entity: &str) -> Self {
        Self(Uuid::new_v5(&deployment, entity.as_bytes()))
    }

    pub fn uuid(&self) -> Uuid {
        self.0
    }

    fn hash(&self, text: &str) -> Uuid {
        Uuid::new_v5(&self.0, text.as_bytes())
    }
}

/// A UUID and where it comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Derived {
    /// The legacy id is this UUID in text form.
    Itself(Uuid),
    /// Hashed from the legacy id's text.
    Hashed(Uuid),
}

impl Derived {
    pub fn uuid(self) -> Uuid {
        match self {
            Derived::Itself(uuid) | Derived::Hashed(uuid) => uuid,
        }
    }
}

/// The UUID that a legacy id gets if no other row holds it. `None`: NULL, or a cell that is no possible key (binary,
/// floating point).
pub fn derive(namespace: Namespace, id: &Cell) -> Option<Derived> {
    if let Cell::Text(text) = id
        && let Some(uuid) = parse(text)
    {
        return Some(Derived::Itself(uuid));
    }
    key_text(id).map(|text| Derived::Hashed(namespace.hash(&text)))
}

/// The UUIDs to be tried for an id, in order, without end: what [`derive`] gives; for an id that is a UUID the hash of
/// its text; then the hashes of its text with `#1`, `#2`, … behind it. The first that no other row holds is taken and
/// the collision recorded.
pub fn candidates(namespace: Namespace, id: &Cell) -> impl Iterator<Item = Uuid> {
    let first = derive(namespace, id);
    let text = key_text(id);
    let plain = match (&first, &text) {
        (Some(Derived::Itself(_)), Some(text)) => Some(namespace.hash(text)),
        _ => None,
    };
    let salted = text
        .into_iter()
        .flat_map(move |text| (1_u64..).map(move |salt| namespace.hash(&format!("{text}#{salt}"))));
    first.map(Derived::uuid).into_iter().chain(plain).chain(salted)
}

fn key_text(id: &Cell) -> Option<String> {
    match id {
        Cell::Int(n) => Some(n.to_string()),
        Cell::UInt(n) => Some(n.to_string()),
        Cell::Text(text) => Some(text.clone()),
        Cell::Null | Cell::Double(_) | Cell::Bytes(_) => None,
    }
}

/// Stricter than `Uuid::parse_str`: no braces, no `urn:`, no hyphens elsewhere.
fn parse(text: &str) -> Option<Uuid> {
    let hyphen = |i: usize| matches!(i, 8 | 13 | 18 | 23);
    let form = match text.len() {
        32 => text.bytes().all(|b| b.is_ascii_hexdigit()),
        36 => {
            text.bytes().enumerate().all(|(i, b)| if hyphen(i) { b == b'-' } else { b.is_ascii_hexdigit() })
        }
        _ => false,
    };
    form.then(|| Uuid::try_parse(text).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn namespace() -> Namespace {
        Namespace::of(default_namespace(), "requests")
    }

    fn text(s: &str) -> Cell {
        Cell::Text(s.into())
    }

    /// Computed with another implementation (Python's `uuid`): these must never change.
    #[test]
    fn golden_values() {
        assert_eq!(default_namespace().to_string(), "a9ad1d1f-e805-591f-aa45-88a70f6ddc48");
        assert_eq!(namespace().uuid().to_string(), "36b164e0-50c5-5081-a1ef-50f6f4692a76");
        let hashed = |cell: &Cell| derive(namespace(), cell).unwrap().uuid().to_string();
        assert_eq!(hashed(&Cell::UInt(0)), "24d85464-5ed2-54d6-a9c5-24f214a63aff");
        assert_eq!(hashed(&Cell::UInt(u64::MAX)), "4070c0b2-1382-531b-8e03-8d5f94e3e316");
        assert_eq!(hashed(&Cell::Int(-1)), "4883f2c3-c550-57cd-8b7e-2f194d16f5b7");
        assert_eq!(hashed(&text("REQ-2009-000123")), "dd4490b9-5656-515c-af34-3452f5e51d72");
        assert_eq!(hashed(&text("ü ")), "c42e2284-48ad-5bce-a939-d87faf245253");
    }

    #[test]
    fn a_uuid_in_any_of_its_two_forms_is_itself() {
        let uuid = Uuid::from_u128(0x00112233_4455_6677_8899_aabbccddeeff);
        for form in [
            "00112233-4455-6677-8899-aabbccddeeff",
            "00112233-4455-6677-8899-AABBCCDDEEFF",
            "00112233445566778899aabbccddeeFF",
        ] {
            assert_eq!(derive(namespace(), &text(form)), Some(Derived::Itself(uuid)));
        }
        assert_eq!(derive(namespace(), &text(&Uuid::nil().to_string())), Some(Derived::Itself(Uuid::nil())));
    }

    #[test]
    fn everything_else_is_hashed() {
        for odd in [
            "",
            "{00112233-4455-6677-8899-aabbccddeeff}",
            "00112233-4455-6677-8899-aabbccddeef",
            "0011223344556677-8899-aabb-ccddeeff0",
            "00112233445566778899aabbccddeeff ",
            "0011223344556677889_aabbccddeeff",
            "urn:uuid:00112233-4455-6677-8899-aabbccddeeff",
            "g0112233445566778899aabbccddeeff",
            "éé112233445566778899aabbccddee",
        ] {
            let derived = derive(namespace(), &text(odd)).unwrap();
            assert!(matches!(derived, Derived::Hashed(_)), "{odd}");
            assert_eq!(derived.uuid().get_version_num(), 5);
        }
        assert_eq!(derive(namespace(), &Cell::Null), None);
        assert_eq!(derive(namespace(), &Cell::Int(7)), derive(namespace(), &Cell::UInt(7)));
    }

    #[test]
    fn candidates_are_the_id_then_its_text_then_salted_text() {
        let id = "00112233445566778899aabbccddeeff";
        let hash = |s: &str| Uuid::new_v5(&namespace().uuid(), s.as_bytes());
        let tried: Vec<_> = candidates(namespace(), &text(id)).take(4).collect();
        let itself = Uuid::try_parse(id).unwrap();
        assert_eq!(tried, [itself, hash(id), hash(&format!("{id}#1")), hash(&format!("{id}#2"))]);
        let tried: Vec<_> = candidates(namespace(), &Cell::UInt(5)).take(3).collect();
        assert_eq!(tried, [hash("5"), hash("5#1"), hash("5#2")]);
        assert_eq!(candidates(namespace(), &Cell::Null).next(), None);
    }
}
