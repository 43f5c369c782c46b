package elastic

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/elastic/go-elasticsearch/v7/esapi"
)

// askBytes bounds the reply to anything but a bulk.
const askBytes = 1 << 20

// Engine is what a cluster says it is. It is zero where that may not be asked: with
// 401, 403 or 404 on GET /, bulk requests may be allowed all the same.
type Engine struct {
	Distribution string // "elasticsearch" or "opensearch"
	Version      string // as 7.10.2; OpenSearch in compatibility mode claims it too
}

// Engine asks the cluster what it is.
func (s *Sink) Engine(ctx context.Context) (Engine, error) {
	var reply struct {
		Tagline string `json:"tagline"`
		Version struct {
			Number       string `json:"number"`
			Distribution string `json:"distribution"`
		} `json:"version"`
	}
	status, err := s.ask(ctx, esapi.InfoRequest{}, &reply)
	switch {
	case err != nil:
		return Engine{}, fmt.Errorf("ask what the cluster is: %w", err)
	case status == http.StatusUnauthorized, status == http.StatusForbidden, status == http.StatusNotFound:
		return Engine{}, nil
	case status != http.StatusOK || reply.Version.Number == "":
		return Engine{}, fmt.Errorf("ask what the cluster is: status %d without a version", status)
	}
	e := Engine{Distribution: reply.Version.Distribution, Version: reply.Version.Number}
	if e.Distribution == "" {
		e.Distribution = "elasticsearch"
		if reply.Tagline == openSearchTagline {
			e.Distribution = "opensearch"
		}
	}
	return e, nil
}

// openSearchTagline is what OpenSearch says of itself in compatibility mode too.
const openSearchTagline = "The OpenSearch Project: https://opensearch.org/"

// ask sends one small request, whatever the window and the breakers say, and reads
// the reply into v if it is 200. The error has been scrubbed.
func (s *Sink) ask(ctx context.Context, request esapi.Request, v any) (status int, err error) {
	ctx, cancel := context.WithTimeout(ctx, min(s.config.Timeout, lookupTimeout))
	defer cancel()
	e, _ := s.endpoints.pick(time.Now(), true)
	status, err = exchangeJSON(ctx, request, e, v)
	s.endpoints.done(e, time.Now(), status == 0, 0)
	if err != nil {
		return status, errors.New(s.scrub(err.Error()))
	}
	return status, nil
}

func exchangeJSON(ctx context.Context, request esapi.Request, e *endpoint, v any) (int, error) {
	response, err := request.Do(ctx, e)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	content, err := readAll(nil, response.Body, askBytes)
	if err != nil || response.StatusCode != http.StatusOK {
		return response.StatusCode, err
	}
	if err := json.Unmarshal(content, v); err != nil {
		return response.StatusCode, fmt.Errorf("read reply: %w", err)
	}
	return response.StatusCode, nil
}
