//! Token refs become values. Pure: in come names and an environment, out comes one slot for each
//! distinct name, in the order of declaration, or everything that is missing. Which provider a
//! name belongs to is nobody's business here.

use std::ffi::OsString;
use std::fmt;

use terok_shared::secret::Secret;

use super::TokenRef;

/// This machine's environment, overlaid by what was provisioned.
pub(crate) struct Environment<'a> {
    pub(crate) host: &'a dyn Fn(&str) -> Option<OsString>,
    /// Wins over the host's variable of the same name.
    pub(crate) provisioned: Vec<(&'static str, Secret<String>)>,
}

/// Values by token ref.
#[derive(Debug)]
pub(super) struct Slots(Vec<(String, Secret<String>)>);

/// Why a name has no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lack {
    Unset,
    Empty,
    NotText,
}

/// Every name without a value, in the order of declaration.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unresolved(Vec<(String, Lack)>);

/// # Errors
/// Every name that is unset or empty: then there are no slots at all.
pub(super) fn resolve(
    map: &[TokenRef],
    environment: &Environment<'_>,
) -> Result<Slots, Unresolved> {
    let mut slots: Vec<(String, Secret<String>)> = Vec::new();
    let mut lacking: Vec<(String, Lack)> = Vec::new();
    for TokenRef { variable, .. } in map {
        let known = slots.iter().map(|(name, _)| name).chain(lacking.iter().map(|(name, _)| name));
        if known.into_iter().any(|name| name == variable) {
            continue;
        }
        match environment.value(variable) {
            Ok(value) => slots.push((variable.clone(), value)),
            Err(lack) => lacking.push((variable.clone(), lack)),
        }
    }
    if lacking.is_empty() { Ok(Slots(slots)) } else { Err(Unresolved(lacking)) }
}

impl Environment<'_> {
    fn value(&self, name: &str) -> Result<Secret<String>, Lack> {
        let provisioned = self.provisioned.iter().find(|(of, _)| *of == name);
        let value = match provisioned {
            Some((_, value)) => value.expose().clone(),
            None => {
                (self.host)(name).ok_or(Lack::Unset)?.into_string().map_err(|_| Lack::NotText)?
            }
        };
        let value = Secret::from(value);
        // Blanks around it come from copying; a header value has none at its ends.
        let text = value.expose().trim();
        if text.is_empty() { Err(Lack::Empty) } else { Ok(text.to_owned().into()) }
    }
}

impl Slots {
    pub(super) fn value(&self, reference: &str) -> Option<&Secret<String>> {
        self.0.iter().find(|(name, _)| name == reference).map(|(_, value)| value)
    }
}

impl fmt::Display for Unresolved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("borrow tokens of this machine: ")?;
        for (at, (name, lack)) in self.0.iter().enumerate() {
            let lack = match lack {
                Lack::Unset => "is not set",
                Lack::Empty => "is empty",
                Lack::NotText => "is not UTF-8",
            };
            let comma = if at == 0 { "" } else { ", " };
            write!(f, "{comma}variable {name} {lack}")?;
        }
        f.write_str("\nhint: export it before the launch, or leave out its --token")
    }
}

impl std::error::Error for Unresolved {}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(words: &[&str]) -> Vec<TokenRef> {
        words.iter().map(|word| TokenRef::parse(word).unwrap()).collect()
    }

    fn host(name: &str) -> Option<OsString> {
        match name {
            "ONE" => Some("1".into()),
            "TWO" => Some(" 2\n".into()),
            "EMPTY" => Some(" ".into()),
            _ => None,
        }
    }

    fn environment(provisioned: &[(&'static str, &str)]) -> Environment<'static> {
        let secret = |(name, value): &(&'static str, &str)| (*name, (*value).to_owned().into());
        Environment { host: &host, provisioned: provisioned.iter().map(secret).collect() }
    }

    #[test]
    fn each_distinct_name_is_one_slot_in_the_order_of_declaration() {
        let slots = resolve(&map(&["b=TWO", "a=ONE", "c=TWO"]), &environment(&[])).unwrap();
        let texts: Vec<(&str, &str)> =
            slots.0.iter().map(|(name, value)| (name.as_str(), value.expose().as_str())).collect();
        assert_eq!(texts, [("TWO", "2"), ("ONE", "1")]);
    }

    #[test]
    fn no_names_are_no_slots() {
        assert!(resolve(&[], &environment(&[])).unwrap().0.is_empty());
    }

    #[test]
    fn what_was_provisioned_wins_over_the_host() {
        let slots = resolve(&map(&["a=ONE"]), &environment(&[("ONE", "login")])).unwrap();
        assert_eq!(slots.value("ONE").unwrap().expose(), "login");
    }

    #[test]
    fn all_that_is_missing_is_named_at_once() {
        let lacking = resolve(&map(&["a=ONE", "b=NONE", "c=EMPTY"]), &environment(&[]));
        let told = lacking.unwrap_err().to_string();
        assert!(told.contains("variable NONE is not set, variable EMPTY is empty"), "{told}");
        assert!(!told.contains("variable ONE"), "{told}");
        // A provisioned value that is empty does not fall back to the host's.
        assert!(resolve(&map(&["a=ONE"]), &environment(&[("ONE", "")])).is_err());
    }
}
