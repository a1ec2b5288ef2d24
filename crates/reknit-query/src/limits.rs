//! Every bound of a query. What exceeds one is refused by name.

/// Bytes of the text of one query.
pub const SQL_BYTES_MAX: usize = 64 << 10;
/// Tokens of one query, white space not counted.
pub const TOKENS_MAX: usize = 16_384;
/// Operators (`AND`, `OR`, comparisons, arithmetic) of one query.
pub const OPERATORS_MAX: usize = 256;
/// How deep terms may nest.
pub const NESTING_MAX: usize = 24;
/// How deep the parser may call itself, which it does at least once for each level of nesting. A level takes some 50 KB of
/// stack where nothing is optimised.
pub const PARSER_DEPTH_MAX: usize = 24;
/// Values in one `IN` list.
pub const IN_VALUES_MAX: usize = 4_096;
/// Columns of a result, and keys of `ORDER BY` and `GROUP BY`.
pub const COLUMNS_MAX: usize = 256;
/// Parts of one path: `tracks.0.title` has three.
pub const PATH_PARTS_MAX: usize = 32;
/// Collections that one query reads, joins and reference paths counted.
pub const RELATIONS_MAX: usize = 8;
/// Words of one `MATCH`.
pub const SEARCH_WORDS_MAX: usize = 64;
/// Groups that one query may form, and rows that `DISTINCT` may tell apart.
pub const GROUPS_MAX: usize = 1 << 20;
/// Rows that a query may collect, to sort them or to answer with them.
pub const ROWS_MAX: usize = 1 << 20;
/// Bytes that a query may collect: 512 MiB.
pub const ROWS_BYTES_MAX: usize = 512 << 20;
/// Rows of a joined collection that a query may hold where no index leads to them.
pub const JOIN_ROWS_MAX: usize = 1 << 20;
/// Ids that an intersection of indexes, or a range that is put into the order of ids, may hold.
pub const INDEX_IDS_MAX: usize = 1 << 20;
/// Bytes of a text that an index tells apart. Texts that agree up to there lie together.
pub const INDEX_TEXT_BYTES_MAX: usize = 512;
/// Bytes of a cursor.
pub const CURSOR_BYTES_MAX: usize = 4 << 10;
/// Bytes of a text that an operator makes.
pub const TEXT_BYTES_MAX: usize = 1 << 20;
/// Rows that a live query at least keeps behind its window, so that a gap is filled without asking the source. It keeps as
/// many as the window has, within these bounds.
pub const LIVE_SPARE_ROWS_MIN: usize = 2;
/// Rows that a live query at most keeps behind its window.
pub const LIVE_SPARE_ROWS_MAX: usize = 64;
