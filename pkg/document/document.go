// Package document turns the log events of a record into documents: it chooses
// the index, the id and the format of each event, writes the root fields that the
// LogsToElasticsearch Lambda wrote, and the typed fields beside them.
//
// A message is attacker's text. Whatever it says, a document has each key once,
// its six @ fields are those of the payload, its index comes from a fixed prefix
// and a date, and no value stands under a name where the index expects another kind
// (see roots). What is too deep or has too many keys keeps @message and a flag.
//
// Documents holds the configuration and is shared; each worker has its own
// Decoder, whose buffers grow to the size of its records and are reused.
package document

import (
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/shipperd/shipperd/pkg/cloudwatch"
	"github.com/shipperd/shipperd/pkg/enrich"
	"github.com/shipperd/shipperd/pkg/format"
	"github.com/shipperd/shipperd/pkg/format/pattern"
	"github.com/shipperd/shipperd/pkg/jsonraw"
	"github.com/shipperd/shipperd/pkg/record"
)

// Options are what the documents take from other parts of the daemon.
type Options struct {
	Enrich *enrich.Enricher // nil: addresses are typed, but nothing is looked up
	// Flattened says that the index template maps aws.cloudtrail.flattened.* as
	// flattened or flat_object.
	Flattened  bool
	Registerer prometheus.Registerer // nil: no metrics
}

// Documents makes Decoders. It is safe for concurrent use.
type Documents struct {
	config  Config
	options Options
	metrics *metrics
	kinds   *kindIndex
	drop    atomic.Pointer[dropRules] // the one thing that changes
}

// dropRules are the drop patterns of all groups, by record.Event.Group.
type dropRules [][]*pattern.Pattern

func newDropRules(groups []Group) (dropRules, error) {
	rules := make(dropRules, len(groups)+1) // events of no group are never dropped
	for i, g := range groups {
		for _, text := range g.Drop {
			p, err := pattern.Parse(text)
			if err != nil {
				return nil, err
			}
			rules[i+1] = append(rules[i+1], p)
		}
	}
	return rules, nil
}

// New returns Documents for a config that Validate accepts.
func New(config Config, options Options) (*Documents, error) {
	d := &Documents{config: config, options: options, metrics: newMetrics(options.Registerer), kinds: newKindIndex(roots(config.Dialect))}
	if err := d.SetDrop(config.Groups); err != nil {
		return nil, err
	}
	if _, err := d.newDecoder(); err != nil {
		return nil, err
	}
	return d, nil
}

// SetDrop puts the drop rules of groups in the place of those in use, from the next
// record of each worker on. Nothing else of the groups is looked at: prefixes and
// routing decide about ids and stay what they are. Groups that were not there at
// the start are left out.
func (d *Documents) SetDrop(groups []Group) error {
	byName := make(map[string]Group, len(groups))
	for _, g := range groups {
		byName[g.Name] = g
	}
	current := make([]Group, len(d.config.Groups))
	for i, g := range d.config.Groups {
		current[i] = byName[g.Name]
	}
	rules, err := newDropRules(current)
	if err != nil {
		return err
	}
	d.drop.Store(&rules)
	return nil
}

// DecoderBound returns how many bytes one worker may hold of a record, inflated and
// encoded. Usual records take a hundredth of it.
func (d *Documents) DecoderBound() int64 {
	return (1 + encodedPerInflated) * int64(d.config.MaxInflated)
}

// NewDecoder returns the Decoder of one worker.
func (d *Documents) NewDecoder() *Decoder {
	decoder, err := d.newDecoder()
	if err != nil {
		panic(fmt.Sprintf("document: a configuration that New has accepted fails: %v", err))
	}
	return decoder
}

// Decoder implements pipeline.Decoder. One goroutine uses it at a time.
type Decoder struct {
	documents *Documents
	inflater  *cloudwatch.Inflater
	payload   cloudwatch.Payload
	readers   []*reader // by default options, in the order of format.Table
	sniffed   *reader   // the last one that was found by its lines; nil: none yet
	fallback  *reader   // of what no reader takes for its own
	routes    []route
	routed    map[string]*route // by log group
	tallies   map[string]*tally // by format
	typed     *format.Fields
	objects   objects
	time      stamp
	leftOut   []string // names of root fields, for explanations
	explain   bool

	// Of the payload under way, unescaped; origin is the end of its documents.
	owner, group, stream, origin []byte
	// Of the event under way.
	line    format.Line
	whole   []jsonraw.Member // of a message that is one JSON object
	value   []byte           // unescaped text of a field
	values  [][]byte         // of columns
	foreign []byte           // members of the root "fields"
	account []byte           // from the system fields
	region  []byte
}

func (d *Documents) newDecoder() (*Decoder, error) {
	lambda := d.config.Dialect == Lambda
	decoder := &Decoder{
		documents: d,
		inflater:  cloudwatch.NewInflater(int64(d.config.MaxInflated)),
		typed:     format.NewFields(d.options.Enrich),
		objects:   objects{table: d.kinds, mendNames: !lambda},
		routed:    map[string]*route{},
		tallies:   map[string]*tally{},
	}
	for _, entry := range format.Table() {
		decoder.tallies[entry.Name] = new(tally)
		r, err := decoder.newReader(entry, nil)
		if err != nil {
			return nil, fmt.Errorf("format %s: %w", entry.Name, err)
		}
		decoder.readers = append(decoder.readers, r)
		if entry.Name == formatText {
			fallback := *r
			fallback.JSON = true
			decoder.fallback = &fallback
		}
	}
	var err error
	decoder.routes, err = decoder.newRoutes()
	return decoder, err
}

// encodedPerInflated bounds the documents of a record: they may take so many times
// the bytes that the record may inflate to. A full record of flow logs, the smallest
// lines, inflates to a third of that and takes seven times as much.
const encodedPerInflated = 4

// Decode implements pipeline.Decoder.
func (d *Decoder) Decode(r *record.Record) error {
	r.Text, r.Events, r.Control = r.Text[:0], r.Events[:0], 0
	d.shed()
	defer d.documents.metrics.add(d.tallies)
	text, err := d.inflater.Inflate(r.Data)
	if err != nil {
		return err
	}
	d.typed.SetIngested(time.Now())
	for n := 1; n == 1 || len(text) > 0; n++ {
		rest, err := d.payload.Next(text)
		if err != nil {
			return fmt.Errorf("payload %d of the record: %w", n, err)
		}
		size := len(text) - len(rest)
		text = rest
		if d.payload.Control {
			r.Control++
			continue
		}
		if err := d.events(r, size); err != nil {
			return fmt.Errorf("payload %d of the record: %w", n, err)
		}
	}
	return nil
}

// keepBuffer is the largest buffer of one event that a worker keeps: CloudWatch
// takes events of up to 1 MiB.
const keepBuffer = 1 << 20

// shed lets the buffers go that a rare giant has left.
func (d *Decoder) shed() {
	for _, buffer := range []*[]byte{
		&d.objects.copies, &d.objects.names, &d.value, &d.foreign, &d.account, &d.region,
		&d.owner, &d.group, &d.stream, &d.origin,
	} {
		if cap(*buffer) > keepBuffer {
			*buffer = nil
		}
	}
}

// events appends the events of the payload under way, which has size bytes, to r.
func (d *Decoder) events(r *record.Record, size int) error {
	p := &d.payload
	d.owner = p.Owner.Append(d.owner[:0])
	d.group = p.Group.Append(d.group[:0])
	d.stream = p.Stream.Append(d.stream[:0])
	d.origin = appendOrigin(d.origin[:0], p)
	route := d.routeOf(d.group)
	drop := (*d.documents.drop.Load())[route.group]
	foreign, first := !d.allowed(), len(r.Text)
	reader := d.readerOf(route, d.stream)
	for i := range p.Events {
		e := &p.Events[i]
		start := len(r.Text)
		if i == fewEvents {
			r.Text = slices.Grow(r.Text, roomFor(start-first, p.Events[:i], size))
		}
		event := record.Event{Time: e.Time, Group: route.group}
		switch {
		case foreign:
			event.Outcome, event.Filter = record.Filtered, record.FilterAccount
		case dropped(drop, e.Text) >= 0:
			event.Outcome, event.Filter = record.Filtered, record.FilterDrop
		default:
			d.event(r, &event, e, route, reader)
		}
		if int64(len(r.Text)) > encodedPerInflated*int64(d.documents.config.MaxInflated) {
			r.Text = r.Text[:start]
			return fmt.Errorf("the documents: %w of %d bytes", record.ErrOversize, encodedPerInflated*int64(d.documents.config.MaxInflated))
		}
		r.Events = append(r.Events, event)
	}
	return nil
}

// fewEvents of a payload tell how much room the documents of all of them take: growing
// step by step copies them all several times. Flow logs, the smallest lines, take seven
// times their payload.
const (
	fewEvents      = 2
	roomPerPayload = 8
)

// roomFor returns the room for the documents of a payload of size bytes when those of
// its first few events took so many bytes: an eighth more than is to be expected.
func roomFor(documents int, few []cloudwatch.Event, size int) int {
	read := 0
	for i := range few {
		read += len(few[i].Message.Inside) + len(few[i].Extracted) + len(`{"id":"","timestamp":1795169471000,"message":""},`) + len(few[i].ID.Inside)
	}
	return min(documents*size/read*9/8, roomPerPayload*size)
}

// allowed says whether the payload's owner is one whose events are taken.
func (d *Decoder) allowed() bool {
	accounts := d.documents.config.Accounts
	return len(accounts) == 0 || slices.Contains(accounts, string(d.owner))
}

// event decides about one event and appends its document to r.
func (d *Decoder) event(r *record.Record, event *record.Event, e *cloudwatch.Event, route *route, reader *reader) {
	d.line.Reset(e.Text, e.Time, d.stream)
	if e.Marks != nil || e.Message.Escapes == jsonraw.Plain {
		d.line.SetMarks(e.Marks)
	}
	if reader == nil {
		reader = d.sniff(&d.line)
	}
	result := format.None
	d.typed.Reset()
	d.objects.reset()
	d.whole = nil
	if e.Extracted == nil && d.readsMessage(route, reader) {
		d.readMessage(e)
	}
	if d.documents.config.Dialect != Lambda {
		d.line.Members = d.whole
		result = reader.format.Parse(&d.line, d.typed)
		reader.tally[result]++
		if result == format.Header {
			event.Outcome, event.Filter = record.Filtered, record.FilterHeader
			return
		}
	}
	event.Index = route.indices.of(e.Time)
	d.document(r, event, e, route, reader, result)
}

// dropped returns the place of the first pattern that matches text, or -1.
func dropped(patterns []*pattern.Pattern, text []byte) int {
	for i, p := range patterns {
		if p.Match(text) {
			return i
		}
	}
	return -1
}
