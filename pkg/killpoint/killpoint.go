// Package killpoint names the places in the daemon at which the torture harness
// kills it: between an effect and the moment that the process knows of it. In a
// usual build Here does nothing and is compiled away; with the build tag killpoint
// the process kills itself at the point that its environment names, and resolves
// names at a server of the harness's, so that their addresses can change.
package killpoint

// Variable of the environment names the point and the arrival there that kills, as
// "shard read:3".
const Variable = "FAULT_KILL_AT"

// ResolverVariable of the environment is the address of a name server, over UDP.
const ResolverVariable = "FAULT_RESOLVER"

// The points, in the order in which a record passes them.
const (
	DaemonOpened        = "daemon opened"   // all parts, nothing is read yet
	PositionsSave       = "positions save"  // before the first positions of shards are stored
	PositionsSaved      = "positions saved" // and after it
	ShardOpened         = "shard opened"    // there is an iterator
	ShardRead           = "shard read"      // records have come
	ShardDelivered      = "shard delivered" // and are the pipeline's
	ShardEnding         = "shard ending"    // its last record was read
	ShardEnded          = "shard ended"     // its end is stored, its children are not
	RecordAdmitted      = "record admitted" // it has its place in the shard's order
	RecordDecoded       = "record decoded"
	BatchSealed         = "batch sealed"
	BatchLettered       = "batch lettered"   // undecodable records are dead letters, nothing is indexed
	BatchSend           = "batch send"       // before a request
	BatchReplied        = "batch replied"    // it was answered, nobody has read the answer
	BatchBury           = "batch bury"       // before refused documents become dead letters
	BatchBuried         = "batch buried"     // they are, and have no outcome yet
	BatchWritten        = "batch written"    // every event has its outcome, none is settled
	BatchSettled        = "batch settled"    // all are settled, nothing is stored
	LettersOpened       = "letters opened"   // a new segment
	LettersUnsynced     = "letters unsynced" // written, and not durable
	LettersSynced       = "letters synced"
	LettersClosed       = "letters closed"       // the segment has its closed name
	CheckpointSave      = "checkpoint save"      // before the pipeline's write
	CheckpointWrite     = "checkpoint write"     // before the file is replaced
	CheckpointWritten   = "checkpoint written"   // and after it
	CheckpointSaved     = "checkpoint saved"     // before anybody is told
	CheckpointLastSave  = "checkpoint last save" // the drain is over
	CheckpointLastSaved = "checkpoint last saved"
)

// Points lists all points.
func Points() []string {
	return []string{
		DaemonOpened, PositionsSave, PositionsSaved, ShardOpened, ShardRead, ShardDelivered, ShardEnding, ShardEnded,
		RecordAdmitted, RecordDecoded, BatchSealed, BatchLettered, BatchSend, BatchReplied, BatchBury, BatchBuried,
		BatchWritten, BatchSettled, LettersOpened, LettersUnsynced, LettersSynced, LettersClosed,
		CheckpointSave, CheckpointWrite, CheckpointWritten, CheckpointSaved, CheckpointLastSave, CheckpointLastSaved,
	}
}
