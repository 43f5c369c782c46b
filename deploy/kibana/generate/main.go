// Command generate writes the saved objects of the dashboards:
//
//	generate FILE
//
// What the dashboards ask is in dashboards.go and lab.go, in the words of page.go; how a question becomes an object of Kibana is
// in panels.go and objects.go.
package main

import (
	"fmt"
	"os"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("got %d arguments, want the name of the file to write", len(args))
	}
	text, err := ndjson(append([]*dashboard{lab()}, dashboards()...), labExtras())
	if err != nil {
		return err
	}
	return os.WriteFile(args[0], text, 0o644)
}
