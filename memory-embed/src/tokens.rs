//! Texts as the numbers of their tokens.

use std::panic::{AssertUnwindSafe, catch_unwind};

use memory_core::{Error, ErrorKind, Result, Retry};
use tokenizers::{Tokenizer, TruncationParams};

use crate::folder::{Folder, MAX_TOKENIZER_BYTES};

/// The longest text that is looked at, in bytes; the rest of a longer one is ignored.
const MAX_TEXT_BYTES: usize = 64 << 10;

/// A tokenizer for single texts.
pub(crate) struct Tokens {
    tokenizer: Tokenizer,
    special: bool,
}

impl Tokens {
    /// Reads a tokenizer whose answers are cut at `max_tokens`, with or without the model's special tokens.
    pub(crate) fn read(folder: &mut Folder, name: &str, max_tokens: usize, special: bool) -> Result<Self> {
        let bytes = folder.read(name, MAX_TOKENIZER_BYTES)?;
        // The parser is another project's: whatever it makes of a forged file ends here.
        let parsed = catch_unwind(AssertUnwindSafe(|| {
            let mut tokenizer = Tokenizer::from_bytes(&bytes)?;
            let truncation = TruncationParams { max_length: max_tokens, ..TruncationParams::default() };
            tokenizer.with_padding(None).with_truncation(Some(truncation))?;
            Ok::<_, tokenizers::Error>(tokenizer)
        }));
        let bad = |folder: &Folder| folder.corrupt(name, "it is no tokenizer");
        match parsed {
            Ok(Ok(tokenizer)) => Ok(Self { tokenizer, special }),
            Ok(Err(error)) => Err(bad(folder).with_source(error)),
            Err(_) => Err(bad(folder)),
        }
    }

    /// Returns the number of a token.
    #[cfg(feature = "static-embedding")]
    pub(crate) fn id(&self, token: &str) -> Option<u32> {
        self.tokenizer.token_to_id(token)
    }

    /// Returns the numbers of a text's tokens.
    pub(crate) fn encode(&self, text: &str) -> Result<Vec<u32>> {
        let end = (0..=MAX_TEXT_BYTES.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
        let text = &text[..end.unwrap_or(0)];
        let encoding = self.tokenizer.encode_fast(text, self.special).map_err(|error| {
            Error::new(ErrorKind::Unavailable, "embed", "the model's tokenizer fails on a text")
                .with_retry(Retry::Permanent)
                .with_source(error)
        })?;
        Ok(encoding.get_ids().to_vec())
    }
}
