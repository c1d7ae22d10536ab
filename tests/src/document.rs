//! The fenced blocks of a Markdown document, for tests that hold the documents to their word.
//!
//! In: Markdown as this project writes it, every block between fences of three backticks. Out: each
//! block with its language, the words behind it and the line it starts in.

use std::fs;
use std::path::{Path, PathBuf};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// The first word behind the fence; empty for none.
    pub language: String,
    /// The rest behind the fence.
    pub attributes: String,
    pub text: String,
    /// Line of the opening fence, from 1.
    pub line: usize,
}

#[derive(Clone, Debug)]
pub struct Document {
    pub path: PathBuf,
    pub text: String,
}

impl Document {
    /// README, CHANGELOG and `docs` below a directory: the workspace, or where they are installed.
    pub fn all_below(root: &Path) -> Vec<Self> {
        let docs = fs::read_dir(root.join("docs")).unwrap().flatten().map(|entry| entry.path());
        let mut paths: Vec<PathBuf> =
            docs.filter(|path| path.extension().is_some_and(|e| e == "md")).collect();
        paths.extend(["README.md", "CHANGELOG.md"].map(|name| root.join(name)));
        paths.sort();
        paths.into_iter().map(Self::read).collect()
    }

    pub fn read(path: PathBuf) -> Self {
        let text =
            fs::read_to_string(&path).unwrap_or_else(|why| panic!("{}: {why}", path.display()));
        Self { path, text }
    }

    /// The file's name without folders.
    pub fn name(&self) -> &str {
        self.path.file_name().and_then(|name| name.to_str()).expect("documents have plain names")
    }

    pub fn blocks(&self) -> Vec<Block> {
        let mut blocks = vec![];
        let mut open: Option<Block> = None;
        for (number, line) in self.text.lines().enumerate() {
            match (line.trim_start().strip_prefix("```"), &mut open) {
                (Some(_), Some(_)) => blocks.extend(open.take()),
                (Some(info), None) => {
                    let (language, attributes) = info.split_once(' ').unwrap_or((info, ""));
                    open = Some(Block {
                        language: language.to_owned(),
                        attributes: attributes.to_owned(),
                        text: String::new(),
                        line: number + 1,
                    });
                }
                (None, Some(block)) => block.text += &format!("{line}\n"),
                (None, None) => {}
            }
        }
        assert!(open.is_none(), "{}: a block without an end", self.path.display());
        blocks
    }

    /// Lines outside of blocks, with their numbers from 1.
    pub fn prose(&self) -> Vec<(usize, &str)> {
        let mut inside = false;
        let mut prose = vec![];
        for (number, line) in self.text.lines().enumerate() {
            let fence = line.trim_start().starts_with("```");
            inside ^= fence;
            if !inside && !fence {
                prose.push((number + 1, line));
            }
        }
        prose
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_have_their_language_and_their_line() {
        let text = "a\n\n```sh checkout\nmake\n```\nb\n```\nc\n```\n".to_owned();
        let document = Document { path: "x.md".into(), text };
        let blocks = document.blocks();
        assert_eq!((&*blocks[0].language, &*blocks[0].attributes), ("sh", "checkout"));
        assert_eq!((&*blocks[0].text, blocks[0].line), ("make\n", 3));
        assert_eq!((&*blocks[1].language, &*blocks[1].text), ("", "c\n"));
        assert_eq!(document.prose(), [(1, "a"), (2, ""), (6, "b")]);
    }
}
