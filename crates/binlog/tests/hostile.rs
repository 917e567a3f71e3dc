//! Bytes that no server sent: an error or a value, never a panic, and never more memory than the bytes justify.

use binlog::{Event, Flavour, Header, Projection, TableMap, Wanted, created_table, first_words, mentions};
use proptest::prelude::*;

fn header(code: u8, flags: u16) -> Header {
    Header { timestamp: 1, code, server_id: 1, flags }
}

/// A table map of two schemas' worth of types: (code, metadata) pairs, with names and all optional metadata.
fn table_map(columns: &[(u8, Vec<u8>)], unsigned: u8) -> Vec<u8> {
    let mut out = vec![9, 0, 0, 0, 0, 0, 1, 0, 1, b's', 0, 1, b't', 0, columns.len() as u8];
    out.extend(columns.iter().map(|c| c.0));
    let meta: Vec<u8> = columns.iter().flat_map(|c| c.1.clone()).collect();
    out.push(meta.len() as u8);
    out.extend(meta);
    out.extend(vec![0xff; columns.len().div_ceil(8)]);
    let mut tagged = |tag: u8, bytes: &[u8]| {
        out.extend([tag, bytes.len() as u8]);
        out.extend(bytes);
    };
    tagged(1, &[unsigned; 4]);
    tagged(2, &[45]);
    tagged(4, &(0..columns.len()).flat_map(|i| [2, b'c', b'a' + i as u8]).collect::<Vec<_>>());
    tagged(5, &[2, 1, b'x', 1, b'y']);
    tagged(6, &[2, 1, b'x', 1, b'y']);
    tagged(10, &[45]);
    out
}

fn column() -> impl Strategy<Value = (u8, Vec<u8>)> {
    let plain = prop::sample::select(vec![1_u8, 2, 3, 8, 9, 10, 13]).prop_map(|c| (c, vec![]));
    let real = prop::sample::select(vec![4_u8, 5]).prop_map(|c| (c, vec![4]));
    let fsp = (prop::sample::select(vec![17_u8, 18, 19]), 0..=6_u8).prop_map(|(c, f)| (c, vec![f]));
    let blob = (prop::sample::select(vec![252_u8, 255]), 1..=4_u8).prop_map(|(c, p)| (c, vec![p]));
    let decimal = (1..=65_u8, 0..=30_u8).prop_map(|(p, s)| (246, vec![p, s.min(p)]));
    let text =
        (prop::sample::select(vec![15_u8]), any::<u16>()).prop_map(|(c, n)| (c, n.to_le_bytes().to_vec()));
    let string = (any::<u8>(), any::<u8>()).prop_map(|(a, b)| (254, vec![a, b]));
    let bit = (0..8_u8, 0..9_u8).prop_map(|(a, b)| (16, vec![a, b]));
    prop_oneof![plain, real, fsp, blob, decimal, text, string, bit]
}

fn all(map: &TableMap) -> Vec<String> {
    map.columns.iter().map(|c| c.name.clone()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn any_bytes_as_any_event(code: u8, flags: u16, body in prop::collection::vec(any::<u8>(), 0..200)) {
        for flavour in [Flavour::MariaDb, Flavour::MySql] {
            let _ = Event::parse(flavour, &header(code, flags), &body);
        }
        let _ = TableMap::peek(&body);
        let _ = TableMap::parse(&body);
    }

    #[test]
    fn any_images_under_any_table(
        columns in prop::collection::vec(column(), 1..12),
        unsigned: u8,
        code in prop::sample::select(vec![23_u8, 24, 25, 30, 31, 32]),
        images in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let Ok(map) = TableMap::parse(&table_map(&columns, unsigned)) else { return Ok(()) };
        let names = all(&map);
        let wanted = Wanted { published: &names, read: &names[..1], fill: &names[1..], generated: &[] };
        let projection = Projection::new(map, wanted).expect("the names are the map's own");
        let mut body = vec![9, 0, 0, 0, 0, 0, 1, 0];
        if code >= 30 {
            body.extend([2, 0]);
        }
        body.push(columns.len() as u8);
        body.extend(vec![0xff; columns.len().div_ceil(8) * if code % 7 == 3 { 2 } else { 1 }]);
        body.extend(&images);
        if let Ok(Event::Rows(rows)) = Event::parse(Flavour::MariaDb, &header(code, 0), &body) {
            let mut out = Vec::new();
            let counted = projection.changes(&rows, &mut out);
            prop_assert!(out.len() <= images.len());
            if let Ok(counts) = counted {
                prop_assert_eq!(counts.rows, counts.echoes + out.len() as u64);
            }
        }
    }

    #[test]
    fn a_table_map_that_is_cut_or_bent(
        columns in prop::collection::vec(column(), 1..12),
        cut in 0..200_usize,
        place in 0..200_usize,
        bent: u8,
    ) {
        let mut body = table_map(&columns, 0);
        body.truncate(cut.max(1));
        let last = body.len() - 1;
        body[place.min(last)] = bent;
        let _ = TableMap::parse(&body);
    }

    #[test]
    fn any_text_as_a_statement(sql in ".{0,80}", name in ".{0,10}") {
        let _ = binlog::Statement::of(&sql);
        let _ = (mentions(&sql, &name), first_words(&sql, 5), created_table(&sql));
        let _ = binlog::Statement::of(&format!("TRUNCATE {sql}"));
        let _ = binlog::Statement::of(&format!("/*!40000 SET STATEMENT {sql} FOR {name} */"));
    }
}

#[test]
fn a_rows_event_that_is_cut_anywhere_is_an_error_or_a_shorter_list() {
    let map = TableMap::parse(&table_map(&[(8, vec![]), (15, vec![44, 1])], 0)).expect("a table map");
    let names = all(&map);
    let projection =
        Projection::new(map, Wanted { published: &names, read: &names, ..Wanted::default() }).expect("names");
    let mut whole = vec![9, 0, 0, 0, 0, 0, 1, 0, 2, 0xff];
    let head = whole.len();
    for i in 0..3_u8 {
        whole.extend([0, i, 0, 0, 0, 0, 0, 0, 0, 2, 0, b'a', b'b']);
    }
    for end in 0..=whole.len() {
        let mut out = Vec::new();
        let parsed = Event::parse(Flavour::MariaDb, &header(23, 0), &whole[..end]);
        let read = match parsed {
            Ok(Event::Rows(rows)) => projection.changes(&rows, &mut out).is_ok(),
            _ => false,
        };
        let complete = end >= head && (end - head) % 13 == 0;
        assert_eq!(read, complete, "cut at {end}");
        assert_eq!(out.len(), end.saturating_sub(head) / 13, "cut at {end}");
    }
}

#[test]
fn a_compressed_event_that_lies_about_its_length_is_refused() {
    let zlib = [0x78, 0x9c, 0x03, 0x00, 0x00, 0x00, 0x00, 0x01]; // nothing
    for length in [[0_u8, 0, 0, 5], [0xff, 0xff, 0xff, 0xff], [0x3f, 0xff, 0xff, 0xff]] {
        let mut body = vec![9, 0, 0, 0, 0, 0, 1, 0, 1, 0xff, 0x84];
        body.extend(length);
        body.extend(zlib);
        assert!(Event::parse(Flavour::MariaDb, &header(166, 0), &body).is_err());
    }
}

#[test]
fn an_event_that_is_not_known_may_only_be_passed_over_if_it_says_so() {
    assert!(Event::parse(Flavour::MariaDb, &header(200, 0), &[]).is_err());
    assert!(matches!(Event::parse(Flavour::MariaDb, &header(200, 0x80), &[]), Ok(Event::Other)));
    for mysql in [33, 34, 39, 40] {
        assert!(Event::parse(Flavour::MySql, &header(mysql, 0), &[]).is_err());
        assert!(Event::parse(Flavour::MariaDb, &header(mysql, 0), &[]).is_err());
    }
}
