package search

// windowBlocks is how many blocks of a source that is read once are kept.
const windowBlocks = 64

// window keeps the last blocks of a source.
type window struct {
	blocks []block
	spare  []byte // of the block that left last
}

// keepBlock keeps a copy of a block, and returns the oldest one if there is no more room. That block is valid until the next call.
func (w *window) keepBlock(b block) (oldest block, full bool) {
	kept := block{append(w.spare[:0], b.data...), b.first}
	w.spare = nil
	if len(w.blocks) == windowBlocks {
		oldest, full = w.blocks[0], true
		w.spare = oldest.data
		w.blocks = append(w.blocks[:0], w.blocks[1:]...)
	}
	w.blocks = append(w.blocks, kept)
	return oldest, full
}
