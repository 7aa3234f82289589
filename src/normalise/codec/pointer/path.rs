//! How a profile spells a place in a tree: RFC 6901 with steps out of elements before it and selections inside it.

/// Most steps of one pointer.
const STEPS_MAX: usize = 16;

/// A step of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// To a member of an object or an element of an array.
    Member(Box<str>),
    /// To the elements of an array whose member reads as this text, or to the object itself if it does.
    Select { member: Box<str>, equals: Box<str> },
}

/// What stands at the end of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    Value,
    /// The name under which the element stands: of a member, or its index in an array.
    OwnName,
}

/// A spelled pointer, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Path {
    /// Dots before it: none from the payload's root, one from the record's element, two from the element around that.
    pub(super) dots: usize,
    pub(super) steps: Vec<Step>,
    pub(super) target: Target,
}

impl Path {
    pub(super) fn parse(spelled: &str) -> Result<Self, String> {
        let rest = spelled.trim_start_matches('.');
        let dots = spelled.len() - rest.len();
        if rest == "#name" {
            return Ok(Self {
                dots: dots.max(1),
                steps: Vec::new(),
                target: Target::OwnName,
            });
        }
        let steps = steps(rest).map_err(|why| {
            format!(
                "{spelled:?}: {why}; pointers are spelled /member/0/member from the root, ./member from the record's \
                 element, ../member from the element around it, list[member=text] to select, #name for the element's \
                 own name"
            )
        })?;
        Ok(Self {
            dots,
            steps,
            target: Target::Value,
        })
    }
}

fn steps(rest: &str) -> Result<Vec<Step>, String> {
    let mut steps = Vec::new();
    let mut tokens = rest.split('/');
    selections(tokens.next().unwrap_or_default(), &mut steps)?;
    for token in tokens {
        let (name, brackets) = token.split_at(token.find('[').unwrap_or(token.len()));
        steps.push(Step::Member(unescape(name)?));
        selections(brackets, &mut steps)?;
    }
    if steps.len() > STEPS_MAX {
        return Err(format!("more than {STEPS_MAX} steps"));
    }
    Ok(steps)
}

/// `[member=text]`, any number of times.
fn selections(mut brackets: &str, steps: &mut Vec<Step>) -> Result<(), String> {
    while !brackets.is_empty() {
        let (inside, rest) = brackets
            .strip_prefix('[')
            .and_then(|open| open.split_once(']'))
            .ok_or_else(|| format!("{brackets:?} where a slash or [member=text] is wanted"))?;
        let (member, equals) = inside
            .split_once('=')
            .ok_or_else(|| format!("[{inside}] has no equals sign"))?;
        steps.push(Step::Select {
            member: unescape(member)?,
            equals: unescape(equals)?,
        });
        brackets = rest;
    }
    Ok(())
}

/// `~0` and `~1` of RFC 6901, and `~2` for `[`, `~3` for `]`, which it does not need.
fn unescape(token: &str) -> Result<Box<str>, String> {
    let mut plain = String::with_capacity(token.len());
    let mut characters = token.chars();
    while let Some(character) = characters.next() {
        if character != '~' {
            plain.push(character);
            continue;
        }
        plain.push(match characters.next() {
            Some('0') => '~',
            Some('1') => '/',
            Some('2') => '[',
            Some('3') => ']',
            _ => return Err("~ is followed by 0 (~), 1 (/), 2 ([) or 3 (])".to_owned()),
        });
    }
    Ok(plain.into_boxed_str())
}

/// The number that a step names, for arrays and for CBOR's numbered members: as written without leading zeros.
pub(super) fn as_number(step: &str) -> Option<i64> {
    let number: i64 = step.parse().ok()?;
    let digits = step.strip_prefix('-').unwrap_or(step);
    let is_canonical =
        !digits.starts_with('+') && step != "-0" && (digits == "0" || !digits.starts_with('0'));
    (is_canonical && !step.starts_with('+')).then_some(number)
}
