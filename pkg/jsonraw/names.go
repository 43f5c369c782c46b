package jsonraw

import (
	"encoding/binary"
	"fmt"
)

// Name is the number of a name in Names; 0 is any other name.
type Name uint8

// Names numbers the names that someone asks for, so that each key of a text is looked
// up once, whoever asks then.
type Names struct {
	slots  [nameSlots]nameSlot // open addressing
	labels []string            // `"name":` by number
}

type nameSlot struct {
	mark   fingerprint
	number Name // 0: nothing here
}

// At least twice as many slots as names, so that nearly every look-up ends at the first.
const (
	nameSlotBits = 9
	nameSlots    = 1 << nameSlotBits
)

// NewNames numbers names from 1 on, in their order. Of one that is there twice the first
// counts. They have to be simple: not empty, up to 256 bytes that need no escape, no dot.
func NewNames(names ...string) *Names {
	x := &Names{labels: make([]string, 1, len(names)+1)}
	for _, name := range names {
		if x.Find([]byte(name)) != 0 {
			continue
		}
		number := len(x.labels)
		if number > int(^Name(0)) {
			panic(fmt.Sprintf("jsonraw: %d names, want at most %d", len(names), ^Name(0)))
		}
		x.labels = append(x.labels, `"`+name+`":`)
		mark := fingerprintOf([]byte(name), 0, len(name))
		i := mark.hash() >> (64 - nameSlotBits)
		for x.slots[i].number != 0 {
			i = (i + 1) % nameSlots
		}
		x.slots[i] = nameSlot{mark, Name(number)}
	}
	return x
}

// Find returns the number of a name, 0 if it has none.
func (x *Names) Find(name []byte) Name {
	number, _ := x.find(name, 0, len(name))
	return number
}

// find is Find for text[start:end], with the hash of the name. A nil x has no names.
func (x *Names) find(text []byte, start, end int) (number Name, hash uint64) {
	mark := fingerprintOf(text, start, end)
	hash = mark.hash()
	if x == nil {
		return 0, hash
	}
	for i := hash >> (64 - nameSlotBits); x.slots[i].number != 0; i = (i + 1) % nameSlots {
		slot := &x.slots[i]
		if slot.mark == mark && (mark.size <= 16 || x.name(slot.number) == string(text[start:end])) {
			return slot.number, hash
		}
	}
	return 0, hash
}

// name returns the name of a number.
func (x *Names) name(number Name) string {
	label := x.labels[number]
	return label[len(`"`) : len(label)-len(`":`)]
}

// Fingerprint tells most names apart without comparing them.
func Fingerprint(name []byte) uint64 { return fingerprintOf(name, 0, len(name)).hash() }

// fingerprint is all of a name of up to 16 bytes, and tells most of the longer ones apart:
// the first eight bytes, the last eight where there are as many, the length.
type fingerprint struct {
	head, tail uint64
	size       int
}

// fingerprintOf returns the fingerprint of text[start:end].
func fingerprintOf(text []byte, start, end int) fingerprint {
	size := end - start
	if size >= 8 {
		return fingerprint{binary.LittleEndian.Uint64(text[start:]), binary.LittleEndian.Uint64(text[end-8:]), size}
	}
	if start+8 <= len(text) { // what follows the name is cut off
		return fingerprint{head: binary.LittleEndian.Uint64(text[start:]) & (1<<(8*size&63) - 1), size: size}
	}
	var head [8]byte
	copy(head[:], text[start:end])
	return fingerprint{head: binary.LittleEndian.Uint64(head[:]), size: size}
}

// hash spreads fingerprints: 2^64 by the golden ratio.
func (f fingerprint) hash() uint64 {
	const golden = 0x9e3779b97f4a7c15
	return (f.head*31 ^ f.tail ^ uint64(f.size)<<56) * golden
}
