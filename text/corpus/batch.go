package corpus

// Range is a run of rows of one document: consecutive, read by attention
// together and with nothing else.
type Range struct {
	Row int // first row in the batch
	Len int // rows
	Pos int // position of the first row in its sequence; always 0 here
}

// Batch is a flat run of rows; there is no batch axis and no padding.
type Batch struct {
	IDs     []int32 // [rows]
	Targets []int32 // [rows] id that follows; -1: not counted
	Docs    []Range // covers every row, in order
	Counted int     // targets that are not -1
	Bytes   int64   // of text that the counted targets stand for (0 for Examples)
}
