package decide

import (
	"encoding/binary"
	"math/rand/v2"
	"time"

	"github.com/google/uuid"
)

// newRecordID returns a UUID of version 7 (RFC 9562 section 5.7): milliseconds, and 74 random bits. The id names a record and is no
// secret, so its bits come from the generator of the runtime (ChaCha8, seeded by the system).
func newRecordID(now time.Time) string {
	var id uuid.UUID
	binary.BigEndian.PutUint64(id[:], uint64(now.UnixMilli())<<16|rand.Uint64()&0xFFFF)
	binary.BigEndian.PutUint64(id[8:], rand.Uint64())
	id[6] = id[6]&0x0F | 0x70 // version
	id[8] = id[8]&0x3F | 0x80 // variant
	return id.String()
}
