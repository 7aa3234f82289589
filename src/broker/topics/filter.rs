//! Topic names and topic filters as MQTT defines them (MQTT 5 4.7 and 4.8.2, MQTT 3.1.1 4.7), on borrowed text.
//!
//! Invariants: every function is one walk over its arguments, without recursion and without memory of its own;
//! [`covers`] never says more than the matching of [`topic_matches`] keeps, also for text that is no valid filter.

/// What a topic or a filter may measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FilterLimits {
    /// Bytes of the whole text, `$share/{name}/` included.
    pub(crate) bytes_max: usize,
    /// Levels, those of `$share/{name}/` not counted.
    pub(crate) levels_max: usize,
}

/// Why a text is no filter, or no topic name, that is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FilterFault {
    /// Nothing is there (MQTT-4.7.3-1).
    #[error("it is empty")]
    Empty,
    /// More bytes than the limit.
    #[error("it is too long")]
    TooLong,
    /// More levels than the limit.
    #[error("it has too many levels")]
    TooManyLevels,
    /// `+`, `#` or U+0000 stands where it must not (MQTT-4.7.0-1, MQTT-4.7.1-1, MQTT-4.7.1-2, MQTT-4.7.3-2).
    #[error("a wildcard or U+0000 is where it may not be")]
    Wildcard,
    /// `$share/` without a name, with a wildcard in it, or without a filter (MQTT-4.8.2-1, MQTT-4.8.2-2).
    #[error("the shared subscription lacks a valid name or a filter")]
    Share,
}

/// A valid topic filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Filter<'a> {
    share: Option<&'a str>,
    inner: &'a str,
}

impl<'a> Filter<'a> {
    /// Reads a filter as SUBSCRIBE and UNSUBSCRIBE carry it.
    ///
    /// # Errors
    /// It is not valid or beyond a limit.
    pub(crate) fn parse(text: &'a str, limits: &FilterLimits) -> Result<Self, FilterFault> {
        if text.len() > limits.bytes_max {
            return Err(FilterFault::TooLong);
        }
        let (share, inner) = match text.strip_prefix("$share/") {
            None => (None, text),
            Some(rest) => {
                let (name, inner) = rest.split_once('/').ok_or(FilterFault::Share)?;
                if name.is_empty() || inner.is_empty() || name.contains(['+', '#', '\0']) {
                    return Err(FilterFault::Share);
                }
                (Some(name), inner)
            }
        };
        check_levels(inner, limits)?;
        let mut levels = inner.split('/').peekable();
        while let Some(level) = levels.next() {
            let valid = match level {
                "+" => true,
                "#" => levels.peek().is_none(),
                _ => !level.contains(['+', '#', '\0']),
            };
            if !valid {
                return Err(FilterFault::Wildcard);
            }
        }
        Ok(Self { share, inner })
    }

    /// The name of the shared subscription that it asks for.
    pub(crate) const fn share(&self) -> Option<&'a str> {
        self.share
    }

    /// The filter that topics are matched with: without `$share/{name}/`.
    pub(crate) const fn inner(&self) -> &'a str {
        self.inner
    }
}

/// Checks a topic name as PUBLISH and a will carry it.
///
/// # Errors
/// It is not valid or beyond a limit.
pub(crate) fn check_name(topic: &str, limits: &FilterLimits) -> Result<(), FilterFault> {
    if topic.len() > limits.bytes_max {
        return Err(FilterFault::TooLong);
    }
    check_levels(topic, limits)?;
    if topic.contains(['+', '#', '\0']) {
        return Err(FilterFault::Wildcard);
    }
    Ok(())
}

fn check_levels(text: &str, limits: &FilterLimits) -> Result<(), FilterFault> {
    if text.is_empty() {
        return Err(FilterFault::Empty);
    }
    if text.bytes().filter(|&byte| byte == b'/').count() >= limits.levels_max {
        return Err(FilterFault::TooManyLevels);
    }
    Ok(())
}

/// Whether a valid filter has a wildcard.
pub(super) fn has_wildcards(filter: &str) -> bool {
    filter.bytes().any(|byte| matches!(byte, b'+' | b'#'))
}

/// Whether a wildcard of a filter's first level is kept from a topic: topics of the server's own begin with `$` and are
/// asked for by name (MQTT-4.7.2-1).
pub(super) fn is_hidden(filter: &str, topic: &str) -> bool {
    topic.starts_with('$') && filter.starts_with(['+', '#'])
}

/// Whether a filter (without `$share/{name}/`) matches a topic.
pub(crate) fn topic_matches(filter: &str, topic: &str) -> bool {
    if is_hidden(filter, topic) {
        return false;
    }
    let mut asked = filter.split('/').peekable();
    let mut levels = topic.split('/');
    loop {
        let Some(wanted) = asked.next() else {
            return levels.next().is_none();
        };
        // Also the level above: `sport/#` matches `sport` (MQTT 5 4.7.1.2).
        if wanted == "#" && asked.peek().is_none() {
            return true;
        }
        match levels.next() {
            Some(level) if wanted == "+" || wanted == level => {}
            _ => return false,
        }
    }
}

/// Whether every topic that the filter `asked` matches is matched by the filter `granted` too. Both are without
/// `$share/{name}/`. Empty text covers nothing and is not covered.
pub(crate) fn covers(granted: &str, asked: &str) -> bool {
    if granted.is_empty() || asked.is_empty() || is_hidden(granted, asked) {
        return false;
    }
    // The same topics, said with as many levels as each of them has: none is empty (MQTT-4.7.3-1).
    let asked = match asked {
        "#" => "+/#",
        "/#" => "/+/#",
        _ => asked,
    };
    let mut allowed = granted.split('/').peekable();
    let mut wanted = asked.split('/').peekable();
    loop {
        let Some(allow) = allowed.next() else {
            return wanted.next().is_none();
        };
        if allow == "#" && allowed.peek().is_none() {
            return true;
        }
        let Some(want) = wanted.next() else {
            return false;
        };
        let all_below = want == "#" && wanted.peek().is_none();
        let within = match allow {
            "+" => !all_below,
            _ => allow == want && !all_below && want != "+",
        };
        if !within {
            return false;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMITS: FilterLimits = FilterLimits {
        bytes_max: 65_535,
        levels_max: 65_536,
    };

    fn parse(text: &str) -> Result<Filter<'_>, FilterFault> {
        Filter::parse(text, &LIMITS)
    }

    #[test]
    fn the_examples_of_the_specification_are_valid_or_not_as_it_says() {
        for valid in [
            "sport/tennis/player1/#",
            "sport/#",
            "#",
            "sport/tennis/#",
            "+",
            "+/tennis/#",
            "sport/+/player1",
            "/",
            "/finance",
            "+/+",
            "$SYS/#",
            "Accounts payable",
            "$share",
            "a//b",
        ] {
            assert_eq!(parse(valid).map(|f| f.inner()), Ok(valid), "{valid}");
        }
        for invalid in [
            "sport/tennis#",
            "sport/tennis/#/ranking",
            "sport+",
            "+sport",
            "##",
            "#/",
            "a/\0",
        ] {
            assert_eq!(parse(invalid), Err(FilterFault::Wildcard), "{invalid}");
        }
        assert_eq!(parse(""), Err(FilterFault::Empty));
    }

    #[test]
    fn a_shared_filter_is_split_and_needs_a_name_and_a_filter() {
        let filter = parse("$share/consumer1//finance/+").unwrap();
        assert_eq!(filter.share(), Some("consumer1"));
        assert_eq!(filter.inner(), "/finance/+");
        assert!(parse("$share/a/b").is_ok());
        for invalid in [
            "$share/",
            "$share//",
            "$share//a",
            "$share/a",
            "$share/a/",
            "$share/+/a",
            "$share/a#/a",
        ] {
            assert_eq!(parse(invalid), Err(FilterFault::Share), "{invalid}");
        }
        assert_eq!(parse("$share/a/b#"), Err(FilterFault::Wildcard));
    }

    #[test]
    fn limits_hold_for_filters_and_names_and_a_share_costs_no_level() {
        let limits = FilterLimits {
            bytes_max: 12,
            levels_max: 3,
        };
        assert!(Filter::parse("$share/n/a/b", &limits).is_ok());
        assert_eq!(
            Filter::parse("a/b/c/d", &limits),
            Err(FilterFault::TooManyLevels)
        );
        assert_eq!(
            Filter::parse("1234567890123", &limits),
            Err(FilterFault::TooLong)
        );
        assert_eq!(check_name("a/b/c", &limits), Ok(()));
        assert_eq!(
            check_name("a/b/c/", &limits),
            Err(FilterFault::TooManyLevels)
        );
        assert_eq!(
            check_name("1234567890123", &limits),
            Err(FilterFault::TooLong)
        );
        assert_eq!(check_name("", &limits), Err(FilterFault::Empty));
        for invalid in ["+", "a/#", "a+", "\0"] {
            assert_eq!(check_name(invalid, &limits), Err(FilterFault::Wildcard));
        }
    }

    #[test]
    fn the_examples_of_the_specification_match_as_it_says() {
        for (filter, topic, expected) in [
            ("sport/tennis/player1/#", "sport/tennis/player1", true),
            (
                "sport/tennis/player1/#",
                "sport/tennis/player1/ranking",
                true,
            ),
            (
                "sport/tennis/player1/#",
                "sport/tennis/player1/score/wimbledon",
                true,
            ),
            ("sport/#", "sport", true),
            ("#", "sport/tennis", true),
            ("sport/tennis/+", "sport/tennis/player1", true),
            ("sport/tennis/+", "sport/tennis/player1/ranking", false),
            ("sport/+", "sport", false),
            ("sport/+", "sport/", true),
            ("+/+", "/finance", true),
            ("/+", "/finance", true),
            ("+", "/finance", false),
            ("#", "$SYS/monitor/Clients", false),
            ("+/monitor/Clients", "$SYS/monitor/Clients", false),
            ("$SYS/#", "$SYS/monitor/Clients", true),
            ("$SYS/monitor/+", "$SYS/monitor/Clients", true),
            ("ACCOUNTS", "Accounts", false),
            ("a/#", "a/$b", true),
            ("/", "/", true),
            ("a/", "a", false),
        ] {
            assert_eq!(topic_matches(filter, topic), expected, "{filter} {topic}");
        }
    }

    #[test]
    fn a_grant_covers_what_it_should_and_not_a_topic_more() {
        for (granted, asked, expected) in [
            ("#", "$SYS/x", false),
            ("+/x", "$SYS/x", false),
            ("$SYS/#", "$SYS/x", true),
            ("a/x", "+/x", false),
            ("a/#", "a", true),
            ("a/#", "a/+", true),
            ("a/#", "a/b/#", true),
            ("a/#", "a/#", true),
            ("a/+", "a/#", false),
            ("a/+/#", "a/#", false),
            ("+/#", "#", true),
            ("+/+/#", "/#", true),
            ("+/+/#", "+/#", false),
            ("#", "+/#", true),
            ("+", "#", false),
            ("a/b", "a/b", true),
            ("a/b", "a", false),
            ("a", "a/b", false),
            ("", "", false),
            ("#", "", false),
            ("", "a", false),
        ] {
            assert_eq!(covers(granted, asked), expected, "{granted} {asked}");
        }
    }

    /// All texts of 1 to `depth` levels out of `levels`.
    fn texts(levels: &[&str], depth: usize) -> Vec<String> {
        let mut all: Vec<String> = levels.iter().copied().map(String::from).collect();
        let mut longest = all.clone();
        for _ in 1..depth {
            longest = longest
                .iter()
                .flat_map(|text| levels.iter().map(move |level| format!("{text}/{level}")))
                .collect();
            all.extend(longest.iter().cloned());
        }
        all.retain(|text| !text.is_empty());
        all
    }

    #[test]
    fn covering_is_exactly_inclusion_of_what_is_matched() {
        // A level that no filter names, and one level more than any filter has, stand for all the others.
        let topics = texts(&["", "a", "$a", "other"], 4);
        let mut filters = texts(&["", "a", "$a", "+"], 3);
        let below: Vec<_> = filters.iter().map(|filter| format!("{filter}/#")).collect();
        filters.extend(below);
        filters.extend(["#", "/#", "//#"].map(String::from));
        let matched = |filter: &String| -> Vec<bool> {
            let all = topics.iter().map(|topic| topic_matches(filter, topic));
            all.collect()
        };
        let matched: Vec<_> = filters.iter().map(matched).collect();
        for (granted, by_granted) in filters.iter().zip(&matched) {
            for (asked, by_asked) in filters.iter().zip(&matched) {
                let included = by_asked.iter().zip(by_granted).all(|(a, g)| !a | g);
                assert_eq!(covers(granted, asked), included, "{granted} {asked}");
            }
        }
    }

    /// What the specification says, level by level and by recursion.
    fn model(filter: &[&str], topic: &[&str]) -> bool {
        match (filter, topic) {
            (["#"], _) | ([], []) => true,
            (["+", filter @ ..], [_, topic @ ..]) => model(filter, topic),
            ([f, filter @ ..], [t, topic @ ..]) => f == t && model(filter, topic),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn matching_is_what_a_naive_model_says(
            levels in prop::collection::vec(prop::sample::select(vec!["", "a", "b", "$a", "+"]), 1..5),
            ends_in_all_below in any::<bool>(),
            topic in "(\\$?[ab]?/){0,4}\\$?[ab]",
        ) {
            let end = ends_in_all_below.then_some("#");
            let levels: Vec<_> = levels.into_iter().chain(end).collect();
            let names: Vec<_> = topic.split('/').collect();
            let hidden = topic.starts_with('$') && matches!(levels[0], "+" | "#");
            let expected = !hidden && model(&levels, &names);
            prop_assert_eq!(topic_matches(&levels.join("/"), &topic), expected);
        }

        #[test]
        fn no_text_panics_and_covering_is_sound_for_text_that_is_no_filter(
            granted in "[a+#$/]{0,6}", asked in "[a+#$/]{0,6}", topic in "[a$/]{1,6}",
        ) {
            let _parsed = parse(&granted);
            if covers(&granted, &asked) && topic_matches(&asked, &topic) {
                prop_assert!(topic_matches(&granted, &topic));
            }
        }
    }

    #[test]
    fn sixty_five_thousand_levels_are_matched_without_a_stack() {
        let topic = "/".repeat(65_535);
        let filter = format!("{}#", "+/".repeat(30_000));
        assert!(topic_matches(&filter, &topic));
        assert!(covers(&filter, &topic));
        assert!(covers("#", &topic) && covers(&topic, &topic));
        assert_eq!(check_name(&topic, &LIMITS), Ok(()));
        assert!(parse(&topic).is_ok());
    }
}
