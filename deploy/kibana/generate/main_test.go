package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestFileIsUpToDate(t *testing.T) {
	generated := filepath.Join(t.TempDir(), "shipperd.ndjson")
	if err := run([]string{generated}); err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile(generated)
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile("../shipperd.ndjson")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("shipperd.ndjson is not what the source makes: run go generate ./deploy/kibana")
	}
}

func TestAnIdTwiceIsRefused(t *testing.T) {
	twice := search{id: "same", title: "Twice?"}
	if _, err := ndjson(nil, []view{twice, twice}); err == nil || !strings.Contains(err.Error(), "same") {
		t.Errorf("got error %v, want one that names the id", err)
	}
}
