// Package servers runs the real servers that the tests talk to: Elasticsearch
// 7.10.2 and OpenSearch 2.19.6 in the vendors' own builds, kinesis-mock 0.6.2 and
// LocalStack 4.14.0. Each is one process on 127.0.0.1, without Docker; it is
// installed once, through Maven, npm or pip, into the user's cache folder.
//
// A test asks for the server that it needs and gets a URL. Where an environment
// variable names a server that runs already, that one is used: cmd/with-servers
// starts all four for one `go test` run, a compose file or a CI job may have its
// own. Otherwise the server is started for this test alone. Where a tool that the
// server needs is missing, the test is skipped and says which; with
// SHIPPERD_TEST_REQUIRE=1 it fails instead.
//
// Servers are shared by tests and packages: use names of streams, log groups and
// indices that no other test has.
package servers

import (
	"context"
	"errors"
	"os"
	"testing"
)

// Elasticsearch returns the URL of an Elasticsearch 7.10.
func Elasticsearch(t testing.TB) string { return shared(t, elasticsearch()) }

// OpenSearch returns the URL of an OpenSearch 2.
func OpenSearch(t testing.TB) string { return shared(t, openSearch()) }

// Kinesis returns the URL of a kinesis-mock. Any access key does.
func Kinesis(t testing.TB) string { return shared(t, kinesis()) }

// LocalStack returns the URL of a LocalStack with its kinesis and logs services.
// Any access key does.
func LocalStack(t testing.TB) string { return shared(t, localStack()) }

// OwnElasticsearch starts an Elasticsearch for t alone, with node settings like
// thread_pool.write.queue_size=1, and returns its URL.
func OwnElasticsearch(t testing.TB, settings ...string) string {
	return own(t, elasticsearch(settings...))
}

func shared(t testing.TB, r recipe) string {
	t.Helper()
	if testing.Short() {
		t.Skipf("%s is not asked in short mode", r.name)
	}
	if url := os.Getenv(r.variable); url != "" {
		return url
	}
	return own(t, r)
}

func own(t testing.TB, r recipe) string {
	t.Helper()
	if testing.Short() {
		t.Skipf("%s is not started in short mode", r.name)
	}
	s, err := start(t.Context(), r)
	var missing *MissingError
	if errors.As(err, &missing) && !Required() {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	return s.URL
}

// Required says whether a server that cannot be had is a failure.
func Required() bool { return os.Getenv("SHIPPERD_TEST_REQUIRE") == "1" }

// StartAll starts, at the same time, those servers that no environment variable
// names. It returns what it could start and the other servers' errors, joined.
func StartAll(ctx context.Context) ([]*Server, error) {
	type result struct {
		server *Server
		err    error
	}
	results := make(chan result)
	n := 0
	for _, r := range []recipe{elasticsearch(), openSearch(), kinesis(), localStack()} {
		if os.Getenv(r.variable) != "" {
			continue
		}
		n++
		go func() {
			s, err := start(ctx, r)
			results <- result{s, err}
		}()
	}
	var started []*Server
	var errs []error
	for range n {
		r := <-results
		if r.err != nil {
			errs = append(errs, r.err)
			continue
		}
		started = append(started, r.server)
	}
	return started, errors.Join(errs...)
}
