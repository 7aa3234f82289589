//! Topic names and filters against definitions that are as plain as the specification's text (MQTT 5, 4.7), and the
//! structures that hold many of them against a walk through a list.

use std::collections::{BTreeMap, BTreeSet};

use super::super::topics::{
    Filter, FilterLimits, Retained, Tree, check_name, covers, topic_matches,
};

const LIMITS: FilterLimits = FilterLimits {
    bytes_max: 256,
    levels_max: 16,
};
/// Lines looked at: each is compared with each.
const LINES_MAX: usize = 12;

/// Reads lines, each as a filter and as a topic name.
pub fn topics(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let lines: Vec<&str> = text.split('\n').take(LINES_MAX).collect();
    let mut filters = Vec::new();
    let mut names = Vec::new();
    for line in lines {
        let filter = Filter::parse(line, &LIMITS);
        assert_eq!(filter.is_ok(), is_filter(line), "{line:?}");
        if let Ok(filter) = filter {
            assert!(line.ends_with(filter.inner()), "{line:?}");
            assert_eq!(filter.share().is_some(), line.starts_with("$share/"));
            filters.push(filter.inner());
        }
        let name = check_name(line, &LIMITS).is_ok();
        assert_eq!(name, is_name(line), "{line:?}");
        if name {
            names.push(line);
        }
    }
    match_each(&filters, &names);
    match_in_tree(&filters, &names);
    match_retained(&filters, &names);
}

fn match_each(filters: &[&str], names: &[&str]) {
    for filter in filters {
        for name in names {
            assert_eq!(
                topic_matches(filter, name),
                matches(filter, name),
                "{filter} {name}"
            );
        }
        for granted in filters {
            if !covers(granted, filter) {
                continue;
            }
            let witnesses = names.iter().copied().chain(INVENTED);
            for name in witnesses.filter(|name| matches(filter, name)) {
                assert!(
                    matches(granted, name),
                    "{granted} covers {filter}, but not {name}"
                );
            }
        }
    }
}

/// Topics that show where a grant is too wide.
const INVENTED: [&str; 9] = ["a", "/", "//", "a/b", "a/", "/a", "$a", "$a/b", "a/b/c/d"];

fn match_in_tree(filters: &[&str], names: &[&str]) {
    let tree = Tree::default();
    let mut held = BTreeMap::new();
    for (key, filter) in (0_u64..).zip(filters) {
        // Some keys stand for several filters.
        let key = key / 2;
        let before = tree.subscribe(filter, key, key);
        assert_eq!(before.is_some(), held.insert((*filter, key), ()).is_some());
    }
    assert_eq!(tree.len(), held.len());
    let heard = |name: &str| {
        let mut keys = Vec::new();
        tree.matches(name, &mut |key, _| keys.push(key));
        keys.sort_unstable();
        keys
    };
    for name in names {
        let wanted = held.keys().filter(|(filter, _)| matches(filter, name));
        let mut wanted: Vec<u64> = wanted.map(|(_, key)| *key).collect();
        wanted.sort_unstable();
        assert_eq!(heard(name), wanted, "{name}");
    }
    for (filter, key) in held.keys() {
        assert!(tree.unsubscribe(filter, *key).is_some(), "{filter}");
        assert!(tree.unsubscribe(filter, *key).is_none(), "{filter}");
    }
    assert_eq!(tree.len(), 0);
    for name in names {
        assert!(heard(name).is_empty(), "{name}");
    }
}

fn match_retained(filters: &[&str], names: &[&str]) {
    let retained = Retained::default();
    for name in names {
        retained.set(name, (), name.len());
    }
    let kept: BTreeSet<&str> = names.iter().copied().collect();
    assert_eq!(retained.len(), kept.len());
    assert_eq!(
        retained.bytes(),
        kept.iter().map(|name| name.len()).sum::<usize>()
    );
    for filter in filters {
        let mut found = Vec::new();
        retained.matching(filter, &mut |name, ()| found.push(name.to_owned()));
        found.sort_unstable();
        let wanted = kept.iter().copied().filter(|name| matches(filter, name));
        assert_eq!(found, wanted.collect::<Vec<_>>(), "{filter}");
    }
    for name in &kept {
        assert!(retained.remove(name).is_some(), "{name}");
    }
    assert_eq!((retained.len(), retained.bytes()), (0, 0));
}

fn fits(text: &str, inner: &str) -> bool {
    text.len() <= LIMITS.bytes_max
        && !inner.is_empty()
        && inner.split('/').count() <= LIMITS.levels_max
        && !text.contains('\0')
}

fn is_name(text: &str) -> bool {
    fits(text, text) && !text.contains(['+', '#'])
}

fn is_filter(text: &str) -> bool {
    let inner = match text.strip_prefix("$share/") {
        None => text,
        Some(rest) => match rest.split_once('/') {
            Some((name, inner)) if !name.is_empty() && !name.contains(['+', '#']) => inner,
            _ => return false,
        },
    };
    let levels: Vec<&str> = inner.split('/').collect();
    let last = levels.len() - 1;
    let valid = |(at, level): (usize, &&str)| {
        !level.contains(['+', '#']) || *level == "+" || (*level == "#" && at == last)
    };
    fits(text, inner) && levels.iter().enumerate().all(valid)
}

/// The specification's words, one level at a time.
fn matches(filter: &str, name: &str) -> bool {
    if name.starts_with('$') && filter.starts_with(['+', '#']) {
        return false;
    }
    let filter: Vec<&str> = filter.split('/').collect();
    let name: Vec<&str> = name.split('/').collect();
    let same = |(wanted, level): (&&str, &&str)| *wanted == "+" || wanted == level;
    match filter.split_last() {
        Some((&"#", above)) => name.len() >= above.len() && above.iter().zip(&name).all(same),
        _ => filter.len() == name.len() && filter.iter().zip(&name).all(same),
    }
}
