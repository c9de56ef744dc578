//! Tables of text: a record a line, its fields between commas, semicolons or tabs, with or without a header.

use csv::StringRecord;

use crate::folder::plain;

/// Separators that a table may have; a tie goes to the first.
const SEPARATORS: [u8; 3] = [b',', b';', b'\t'];

/// The records of a table.
#[derive(Clone, Debug, Default)]
pub(crate) struct Table {
    /// The first record, if it names the columns.
    header: Option<StringRecord>,
    /// The others, without those of which all fields are empty.
    pub(crate) records: Vec<Record>,
}

/// A record.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    /// Number of its line, from 1.
    pub(crate) line: usize,
    fields: StringRecord,
}

/// Why a text is no table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Malformed {
    /// Number of the line, from 1.
    pub(crate) line: usize,
    /// What is wrong.
    pub(crate) reason: String,
}

impl Table {
    /// Reads a table whose first record is a header if `is_header` says so. Blanks around fields do not matter, nor do
    /// quotes, empty lines, a byte order mark or the kind of line ends.
    pub(crate) fn read(
        text: &str,
        is_header: impl Fn(&StringRecord) -> bool,
    ) -> Result<Self, Malformed> {
        let text = text.trim_start_matches('\u{feff}');
        let mut reader = csv::ReaderBuilder::new()
            .trim(csv::Trim::All)
            .flexible(true)
            .has_headers(false)
            .delimiter(separator(text))
            .from_reader(text.as_bytes());
        let mut table = Self::default();
        let mut is_first = true;
        let mut lines = Lines::new(text);
        for record in reader.records() {
            let fields = record.map_err(|error| Malformed {
                line: lines.at(error.position()),
                reason: error.to_string(),
            })?;
            let line = lines.at(fields.position());
            if fields.iter().all(str::is_empty) {
                continue;
            }
            if is_first && is_header(&fields) {
                table.header = Some(fields);
            } else {
                table.records.push(Record { line, fields });
            }
            is_first = false;
        }
        Ok(table)
    }

    /// The place of the column that the header calls so, whatever its case and punctuation.
    pub(crate) fn column(&self, name: &str) -> Option<usize> {
        let header = self.header.as_ref()?;
        header.iter().position(|field| names(field, name))
    }
}

impl Record {
    /// A field; empty where the record is too short.
    pub(crate) fn field(&self, column: usize) -> &str {
        self.fields.get(column).unwrap_or_default()
    }
}

/// Whether a field is the name of a column.
pub(crate) fn names(field: &str, column: &str) -> bool {
    plain(field) == plain(column)
}

/// What stands most often in the first line that is not empty.
pub(crate) fn separator(text: &str) -> u8 {
    let line = text.lines().find(|line| !line.trim().is_empty());
    let count = |separator: u8| {
        let bytes = line.unwrap_or_default().bytes();
        bytes.filter(|byte| *byte == separator).count()
    };
    let best = SEPARATORS.into_iter().rev().max_by_key(|it| count(*it));
    best.unwrap_or(b',')
}

/// Numbers of lines. The crate's are those of the line before where lines are empty or end in two bytes.
struct Lines<'a> {
    bytes: &'a [u8],
    /// Bytes that were counted, and the line that comes after them.
    counted: usize,
    line: usize,
}

impl<'a> Lines<'a> {
    fn new(text: &'a str) -> Self {
        Self {
            bytes: text.as_bytes(),
            counted: 0,
            line: 1,
        }
    }

    /// The line of a record, not before that of the last one.
    fn at(&mut self, position: Option<&csv::Position>) -> usize {
        let start = position.map_or(0, |position| {
            usize::try_from(position.byte()).unwrap_or(usize::MAX)
        });
        while let Some(&byte) = self.bytes.get(self.counted) {
            let is_end = byte == b'\n' || byte == b'\r';
            if self.counted >= start && !is_end {
                break;
            }
            self.counted += 1;
            let is_pair = byte == b'\r' && self.bytes.get(self.counted) == Some(&b'\n');
            self.line += usize::from(is_end && !is_pair);
        }
        self.line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Option<usize>, Vec<(usize, Vec<String>)>) {
        let table = Table::read(text, |first| first.get(0) == Some("a")).expect("a table");
        let rows = table.records.iter().map(|record| {
            let fields = record.fields.iter().map(str::to_owned);
            (record.line, fields.collect())
        });
        (table.column("B b"), rows.collect())
    }

    #[test]
    fn every_common_form_is_read() {
        for text in [
            "a,b_b\n1,2\n",
            "\u{feff}a;B B\r\n1;2\r\n",
            "a\tb-b\n1\t2",
            "a,b b\r1,2\r",
            "\"a\",\"b b\"\n\"1\", 2 \n",
            "a , b b\n1 , 2\n\n ,\n",
        ] {
            let row = vec!["1".to_owned(), "2".to_owned()];
            assert_eq!(read(text), (Some(1), vec![(2, row)]), "{text:?}");
        }
    }

    #[test]
    fn without_a_header_the_first_record_stays() {
        let (column, rows) = read("\n\n3,4\n5,6\n");
        assert_eq!(column, None);
        assert_eq!(rows.len(), 2);
        assert_eq!(rows[0], (3, vec!["3".to_owned(), "4".to_owned()]));
        assert_eq!(read(""), (None, vec![]));
    }

    #[test]
    fn fields_beyond_the_end_are_empty() {
        let table = Table::read("1\n", |_| false).expect("a table");
        assert_eq!(table.records[0].field(1), "");
    }
}
