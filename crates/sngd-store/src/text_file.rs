//! A table of text on its way in: by its name it may be compressed, and its beginning is looked at before it is read.

use std::fs::File;
use std::io::{BufReader, Cursor, Read};
use std::path::Path;

use csv::{ByteRecord, ReaderBuilder};
use flate2::bufread::MultiGzDecoder;

use crate::data_error::DataError;
use crate::open::open;

/// Bytes that are looked at, or at most where a few lines have more; and the lines that are looked at.
const BYTES: usize = 1 << 20;
const MOST: usize = 1 << 28;
const LINES: usize = 1000;

/// How a file is compressed, which the last extension of its name says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Compression {
    None,
    Gzip,
    Zstd,
}

impl Compression {
    /// The compression, and the name without its extension.
    pub fn of(path: &Path) -> (Self, &Path) {
        let extension = path.extension().map(|e| e.to_ascii_lowercase());
        let compression = match extension.as_deref().and_then(|e| e.to_str()) {
            Some("gz") => Self::Gzip,
            Some("zst") => Self::Zstd,
            _ => return (Self::None, path),
        };
        let inner = path.file_stem().map(Path::new);
        match inner.filter(|inner| inner.extension().is_some()) {
            Some(inner) => (compression, inner),
            None => (Self::None, path),
        }
    }

    /// What a file of damaged content is not, in words.
    pub fn in_words(self) -> &'static str {
        match self {
            Self::None => "CSV",
            Self::Gzip => "a gzip file",
            Self::Zstd => "a Zstandard file",
        }
    }
}

/// Opens a file of text; what is read is decompressed.
pub(crate) fn open_text(path: &Path) -> Result<Box<dyn Read>, DataError> {
    let file = open(path)?;
    Ok(match Compression::of(path).0 {
        Compression::None => Box::new(file),
        Compression::Gzip => Box::new(MultiGzDecoder::new(BufReader::new(file))),
        Compression::Zstd => Box::new(zstd_reader(path, file)?),
    })
}

fn zstd_reader(path: &Path, file: File) -> Result<impl Read + use<>, DataError> {
    zstd::Decoder::new(file).map_err(|error| io_error(path, &error))
}

/// A file that cannot be read, or one whose compressed content is damaged.
pub(crate) fn io_error(path: &Path, error: &std::io::Error) -> DataError {
    let (compression, _) = Compression::of(path);
    let (path, detail) = (path.display().to_string(), error.to_string());
    match compression {
        Compression::None => DataError::Unreadable { path, detail },
        _ => DataError::Malformed {
            path,
            format: compression.in_words(),
            detail,
        },
    }
}

/// The beginning of a file of text.
pub(crate) struct Head {
    bytes: Vec<u8>,
    /// Whether this is all of the file.
    complete: bool,
}

impl Head {
    /// Reads the beginning of a text; the second part of the result reads the text from its first byte on.
    pub fn read(path: &Path) -> Result<(Self, impl Read + use<>), DataError> {
        let mut text = open_text(path)?;
        let (mut bytes, mut wanted, mut complete) = (Vec::new(), BYTES, false);
        let ends = |byte: &&u8| matches!(byte, b'\n' | b'\r');
        let few = |bytes: &[u8]| bytes.iter().filter(ends).nth(4).is_none();
        while !complete && (bytes.len() < wanted || (few(&bytes) && wanted < MOST)) {
            if bytes.len() == wanted {
                wanted *= 2;
            }
            let missing = (wanted - bytes.len()) as u64;
            let got = (text.by_ref().take(missing)).read_to_end(&mut bytes);
            complete = got.map_err(|error| io_error(path, &error))? as u64 != missing;
        }
        let whole = Cursor::new(bytes.clone()).chain(text);
        Ok((Self { bytes, complete }, whole))
    }

    /// The first lines, divided into cells by this separator; blank lines are no lines.
    pub fn lines(&self, separator: u8) -> Vec<ByteRecord> {
        let mut reader = ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(separator)
            .from_reader(self.bytes.as_slice());
        // One more than are looked at, since the last may be cut off. Bytes in memory are always read.
        let mut lines: Vec<ByteRecord> =
            (reader.byte_records().flatten()).take(LINES + 1).collect();
        if lines.len() > LINES || !self.complete {
            lines.pop();
        }
        lines
    }
}
