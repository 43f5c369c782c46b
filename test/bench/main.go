// Command bench measures the whole daemon in this process: it drains a prepared
// Kinesis stream through the real source, pipeline, decoder and sink into a bulk
// endpoint that takes everything, and prints what that took as JSON.
//
//	go run ./test/bench > test/bench/baseline.json
//
// Each configuration runs in a process of its own, so that GOMAXPROCS and the peak
// of memory are its own. The figures to quote are ratios: of_gunzip is the CPU
// time that klauspost's gunzip alone takes for the same records, measured in the
// same process right after, as a part of the daemon's. Sockets and the SDK's part
// of a call are not in it: both peers are values in the process.
package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"runtime"

	"github.com/shipperd/shipperd/pkg/document/documenttest"
)

func main() {
	events := flag.Int("events", 800_000, "log events for each configuration")
	only := flag.String("only", "", "one configuration, as `shards/events-per-record/gzip/processors`, such as 4/500/off/1")
	profile := flag.String("cpuprofile", "", "write the CPU profile of the last configuration to this `file`")
	child := flag.Bool("child", false, "run the configuration on standard input (used by the program itself)")
	flag.Parse()
	var err error
	if *child {
		err = runChild()
	} else {
		err = runAll(*events, *only, *profile)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// setup is one configuration.
type setup struct {
	Shards          int    `json:"shards"`
	EventsPerRecord int    `json:"events_per_record"`
	Gzip            string `json:"request_gzip"`
	Processors      int    `json:"processors"`
}

func (s setup) String() string {
	return fmt.Sprintf("%d/%d/%s/%d", s.Shards, s.EventsPerRecord, s.Gzip, s.Processors)
}

// task is what a child gets: the setup and the records that the stream repeats.
type task struct {
	Setup   setup
	Events  int // in all
	Records [][]byte
	Profile string // file of the CPU profile; empty: none
}

// report is what is printed.
type report struct {
	Go      string   `json:"go"`
	Events  int      `json:"events"`
	Results []result `json:"results"`
}

func runAll(events int, only, profile string) error {
	r := report{Go: runtime.Version() + " " + runtime.GOOS + "/" + runtime.GOARCH, Events: events}
	for _, s := range setups() {
		if only != "" && only != s.String() {
			continue
		}
		result, err := runSetup(task{Setup: s, Events: events, Records: records(s.EventsPerRecord), Profile: profile})
		if err != nil {
			return fmt.Errorf("%s: %w", s, err)
		}
		fmt.Fprintf(os.Stderr, "%-14s of gunzip %.3f, %.3f allocations an event, peak %d MiB\n", s, result.OfGunzip, result.AllocsPerEvent, result.PeakMiB)
		r.Results = append(r.Results, result)
	}
	e := json.NewEncoder(os.Stdout)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

func setups() (all []setup) {
	for _, processors := range []int{1, 2} {
		for _, gzip := range []string{"off", "on"} {
			for _, perRecord := range []int{500, 10} {
				for _, shards := range []int{1, 4, 64} {
					all = append(all, setup{shards, perRecord, gzip, processors})
				}
			}
		}
		// As large as the service's records were until 2025: 1 MiB that inflates to 8 on average.
		all = append(all, setup{64, 10_000, "off", processors})
	}
	return all
}

// records returns two records of each format.
func records(events int) (list [][]byte) {
	for seed := range uint64(2) {
		for _, kind := range documenttest.Kinds() {
			var b bytes.Buffer
			w := gzip.NewWriter(&b)
			_, _ = w.Write([]byte(documenttest.Payload(kind, events, seed))) // into memory
			_ = w.Close()
			list = append(list, b.Bytes())
		}
	}
	return list
}

// runSetup runs t in a process of its own.
func runSetup(t task) (r result, err error) {
	program, err := os.Executable()
	if err != nil {
		return r, err
	}
	in, err := json.Marshal(t)
	if err != nil {
		return r, err
	}
	cmd := exec.Command(program, "-child") //nolint:noctx // it ends with its work
	cmd.Env = append(os.Environ(), fmt.Sprintf("GOMAXPROCS=%d", t.Setup.Processors))
	cmd.Stdin, cmd.Stderr = bytes.NewReader(in), os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return r, err
	}
	return r, json.Unmarshal(out, &r)
}
