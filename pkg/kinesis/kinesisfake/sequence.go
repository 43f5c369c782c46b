package kinesisfake

import (
	"math/big"
	"time"
)

// sequence returns the sequence number of the n-th record of a shard, from 1; 0 is
// the shard's start. Like the service's it is 56 digits from 188 bits that begin
// with version 2: 36 bits of the shard's creation time, 68 that count, 8 of zero,
// 36 of the record's time, 32 of the shard's number and the version again.
func (sh *shard) sequence(n int, at time.Time) string {
	s := big.NewInt(2)
	for _, field := range []struct {
		value int64
		bits  uint
	}{
		{sh.created.Unix(), 36}, {int64(n), 68}, {0, 8}, {at.Unix(), 36}, {int64(sh.number), 32}, {2, 4},
	} {
		s.Lsh(s, field.bits).Or(s, big.NewInt(field.value))
	}
	return s.String()
}

// position returns how many records lie before the one with this sequence number.
// The error says that it is not of this shard, or not any more.
func (sh *shard) position(sequence string) (int, error) {
	if sequence == sh.sequence(0, sh.created) {
		return 0, nil
	}
	s, ok := new(big.Int).SetString(sequence, 10)
	if ok && s.Sign() > 0 {
		s.Rsh(s, 8+36+32+4)
		n := new(big.Int).And(s, new(big.Int).SetUint64(1<<63-1))
		if i := int(n.Int64()) - 1 - sh.trimmed; i >= 0 && i < len(sh.records) && sh.records[i].sequence == sequence {
			return sh.trimmed + i, nil
		}
	}
	return 0, invalid("StartingSequenceNumber %s used in GetShardIterator on shard %s is invalid", sequence, sh.id)
}
