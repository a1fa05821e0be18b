//! Takes the command line apart.

use crate::failure::Failure;

/// What is left of the command line.
pub(crate) struct Arguments(Vec<String>);

impl Arguments {
    pub(crate) fn new(arguments: impl Iterator<Item = String>) -> Self {
        Self(arguments.collect())
    }

    /// Takes the first word.
    pub(crate) fn task(&mut self) -> Option<String> {
        (!self.0.is_empty()).then(|| self.0.remove(0))
    }

    /// Takes a flag and returns whether it was there.
    pub(crate) fn flag(&mut self, name: &str) -> bool {
        let before = self.0.len();
        self.0.retain(|argument| argument != name);
        self.0.len() < before
    }

    /// Takes an option that must be there, given as `--name value` or `--name=value`.
    pub(crate) fn required(&mut self, name: &str) -> Result<String, Failure> {
        let missing = || Failure::Usage(format!("{name} is missing"));
        let prefix = format!("{name}=");
        let at = self
            .0
            .iter()
            .position(|argument| argument == name || argument.starts_with(&prefix))
            .ok_or_else(missing)?;
        let argument = self.0.remove(at);
        match argument.strip_prefix(&prefix) {
            Some(value) => Ok(value.to_owned()),
            None if at < self.0.len() => Ok(self.0.remove(at)),
            None => Err(Failure::Usage(format!("{name} needs a value"))),
        }
    }

    /// Takes an option that must be there and be a whole number above 0.
    pub(crate) fn required_number(&mut self, name: &str) -> Result<u64, Failure> {
        let value = self.required(name)?;
        match value.parse() {
            Ok(number) if number > 0 => Ok(number),
            _ => Err(Failure::Usage(format!("{name} is a whole number above 0, not {value:?}"))),
        }
    }

    /// Returns what was not taken.
    pub(crate) fn rest(self) -> Vec<String> {
        self.0
    }

    /// Fails when something was not taken.
    pub(crate) fn finish(self) -> Result<(), Failure> {
        match self.0.first() {
            None => Ok(()),
            Some(argument) => Err(Failure::Usage(format!("unexpected argument {argument:?}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(line: &str) -> Arguments {
        Arguments::new(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn takes_flags_and_options_in_any_order_and_form() {
        for line in ["--rounds 20 --mode local --release", "--release --mode=local --rounds=20"] {
            let mut arguments = arguments(line);
            assert!(arguments.flag("--release"));
            assert!(!arguments.flag("--release"));
            assert_eq!(arguments.required_number("--rounds").ok(), Some(20));
            assert_eq!(arguments.required("--mode").ok().as_deref(), Some("local"));
            assert!(arguments.finish().is_ok());
        }
    }

    #[test]
    fn explains_what_is_wrong() {
        let check = |line: &str, expected: &str| {
            let mut arguments = arguments(line);
            let result = arguments.required_number("--rounds").and_then(|_| arguments.finish());
            let Err(Failure::Usage(message)) = result else { panic!("{line:?} is accepted") };
            assert_eq!(message, expected);
        };
        check("", "--rounds is missing");
        check("--rounds", "--rounds needs a value");
        check("--rounds many", r#"--rounds is a whole number above 0, not "many""#);
        check("--rounds 0", r#"--rounds is a whole number above 0, not "0""#);
        check("--rounds 1 --fast", r#"unexpected argument "--fast""#);
    }
}
