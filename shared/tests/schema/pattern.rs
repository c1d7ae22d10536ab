//! The regular expressions of our schemas: characters and classes one after the other, each perhaps
//! repeated (ECMA-262, of which JSON Schema wants no more than this).

struct Atom {
    negated: bool,
    ranges: Vec<(char, char)>,
    least: usize,
    most: usize,
}

/// Whether `text` fits; anything beyond the subset is a mistake in the schema.
pub(crate) fn fits(pattern: &str, text: &str) -> bool {
    let from_start = pattern.strip_prefix('^').unwrap_or_else(|| panic!("{pattern}: no ^"));
    let (atoms, to_end) = match from_start.strip_suffix('$') {
        Some(rest) => (rest, true),
        None => (from_start, false),
    };
    let text: Vec<char> = text.chars().collect();
    matches(&parse(atoms), &text, to_end)
}

fn matches(atoms: &[Atom], text: &[char], to_end: bool) -> bool {
    let Some((atom, rest)) = atoms.split_first() else { return !to_end || text.is_empty() };
    let greedy = text.iter().take(atom.most).take_while(|c| atom.takes(**c)).count();
    (atom.least..=greedy).rev().any(|taken| matches(rest, &text[taken..], to_end))
}

impl Atom {
    fn takes(&self, c: char) -> bool {
        self.ranges.iter().any(|(from, to)| (*from..=*to).contains(&c)) != self.negated
    }
}

fn parse(pattern: &str) -> Vec<Atom> {
    let mut chars = pattern.chars().peekable();
    let mut atoms = Vec::new();
    while let Some(c) = chars.next() {
        assert!(!"().|{}".contains(c), "{pattern}: {c} is not supported");
        let mut atom = Atom { negated: false, ranges: vec![], least: 1, most: 1 };
        if c == '[' {
            atom.negated = chars.next_if_eq(&'^').is_some();
            loop {
                let from = match chars.next().unwrap() {
                    ']' => break,
                    c => character(c, &mut chars),
                };
                let mut ahead = chars.clone();
                let is_range = ahead.next() == Some('-') && ahead.next() != Some(']');
                let to = match is_range {
                    true => {
                        chars.next();
                        let c = chars.next().unwrap();
                        character(c, &mut chars)
                    }
                    false => from,
                };
                atom.ranges.push((from, to));
            }
        } else {
            let c = character(c, &mut chars);
            atom.ranges.push((c, c));
        }
        (atom.least, atom.most) = match chars.peek() {
            Some('*') => (0, usize::MAX),
            Some('+') => (1, usize::MAX),
            Some('?') => (0, 1),
            _ => (1, 1),
        };
        if (atom.least, atom.most) != (1, 1) {
            chars.next();
        }
        atoms.push(atom);
    }
    atoms
}

fn character(c: char, rest: &mut impl Iterator<Item = char>) -> char {
    match c {
        '\\' => match rest.next().unwrap() {
            'u' => {
                let digits: String = rest.take(4).collect();
                char::from_u32(u32::from_str_radix(&digits, 16).unwrap()).unwrap()
            }
            escaped => escaped,
        },
        c => c,
    }
}

#[test]
fn classes_repetitions_and_ends_are_understood() {
    assert!(fits("^/[^\\u0000]*$", "/a/b") && !fits("^/[^\\u0000]*$", "/a\0"));
    assert!(fits("^/", "/anything") && !fits("^/", "x/"));
    assert!(fits("^[Ss]?://[a-c]+$", "://abc") && !fits("^[Ss]?://[a-c]+$", "s://"));
    assert!(fits("^[A-Z-]+$", "A-B") && !fits("^[A-Z-]+$", "a"));
    assert!(fits("^[^/]*//[^/]*@", "https://u@h") && !fits("^[^/]*//[^/]*@", "https://h/@"));
}
