package template

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"reflect"

	"github.com/shipperd/shipperd/pkg/elastic"
)

// Dashboards is a Kibana or OpenSearch Dashboards, through a sink whose endpoint it is.
type Dashboards struct{ Sink *elastic.Sink }

// SavedObject is one of ours, and how it stands there.
type SavedObject struct {
	Type, ID, Title string
	State           State // Absent, Current, or Edited: by a person, or of another version

	line []byte
}

// savedObject is what identity and content are read from.
type savedObject struct {
	Type       string         `json:"type"`
	ID         string         `json:"id"`
	Attributes map[string]any `json:"attributes"`
	Error      any            `json:"error,omitempty"`
}

// Compare says how each of the objects, one JSON object a line, stands there.
func (d Dashboards) Compare(ctx context.Context, objects []byte) ([]SavedObject, error) {
	type name struct {
		Type string `json:"type"`
		ID   string `json:"id"`
	}
	var names []name
	var ours []savedObject
	var all []SavedObject
	for line := range bytes.SplitSeq(bytes.TrimSpace(objects), []byte("\n")) {
		var o savedObject
		if err := json.Unmarshal(line, &o); err != nil {
			return nil, fmt.Errorf("read saved objects: %w", err)
		}
		title, _ := o.Attributes["title"].(string)
		ours = append(ours, o)
		names = append(names, name{o.Type, o.ID})
		all = append(all, SavedObject{Type: o.Type, ID: o.ID, Title: title, State: Absent, line: line})
	}
	request, err := json.Marshal(names)
	if err != nil {
		return nil, err
	}
	var reply struct {
		Objects []savedObject `json:"saved_objects"`
	}
	if err := d.post(ctx, "/api/saved_objects/_bulk_get", "application/json", request, &reply); err != nil {
		return nil, fmt.Errorf("read the saved objects that are there: %w", err)
	}
	for _, there := range reply.Objects {
		for i, o := range ours {
			if there.Error != nil || there.ID != o.ID || there.Type != o.Type {
				continue
			}
			all[i].State = Edited
			if sameAttributes(o.Attributes, there.Attributes) {
				all[i].State = Current
			}
		}
	}
	return all, nil
}

// sameAttributes says whether all of ours are there. A server adds attributes, a
// list of an index pattern's fields for example; and it writes the texts of JSON
// in its own way, with the references taken out.
func sameAttributes(ours, theirs map[string]any) bool {
	for name, value := range ours {
		if !reflect.DeepEqual(decodedText(value), decodedText(theirs[name])) {
			return false
		}
	}
	return true
}

// decodedText decodes texts that are JSON, at any depth.
func decodedText(v any) any {
	switch v := v.(type) {
	case string:
		var inner any
		if json.Unmarshal([]byte(v), &inner) != nil {
			return v
		}
		return inner
	case map[string]any:
		decoded := make(map[string]any, len(v))
		for name, value := range v {
			decoded[name] = decodedText(value)
		}
		return decoded
	}
	return v
}

// Import puts the objects, over those that are there if overwrite says so.
func (d Dashboards) Import(ctx context.Context, objects []SavedObject, overwrite bool) error {
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	part, err := form.CreatePart(textproto.MIMEHeader{
		"Content-Disposition": {`form-data; name="file"; filename="shipperd.ndjson"`},
		"Content-Type":        {"application/ndjson"},
	})
	if err != nil {
		return err
	}
	for _, o := range objects {
		if _, err := fmt.Fprintf(part, "%s\n", o.line); err != nil {
			return err
		}
	}
	if err := form.Close(); err != nil {
		return err
	}
	var reply struct {
		Success bool `json:"success"`
		Count   int  `json:"successCount"`
		Errors  []struct {
			ID    string          `json:"id"`
			Title string          `json:"title"`
			Error json.RawMessage `json:"error"`
		} `json:"errors"`
	}
	path := "/api/saved_objects/_import"
	if overwrite {
		path += "?overwrite=true"
	}
	if err := d.post(ctx, path, form.FormDataContentType(), body.Bytes(), &reply); err != nil {
		return fmt.Errorf("import saved objects: %w", err)
	}
	// The status is 200 whatever happened.
	if !reply.Success || reply.Count != len(objects) {
		reason := ""
		if len(reply.Errors) > 0 {
			reason = fmt.Sprintf("; the first error, of %q: %.300s", reply.Errors[0].ID, reply.Errors[0].Error)
		}
		return fmt.Errorf("import saved objects: %d of %d were taken%s", reply.Count, len(objects), reason)
	}
	return nil
}

// post sends a request that both products take: each asks for its own header.
func (d Dashboards) post(ctx context.Context, path, contentType string, body []byte, v any) error {
	reply, err := d.Sink.Call(ctx, elastic.Call{
		Method: http.MethodPost, Path: path, Body: body,
		Header: http.Header{"Content-Type": {contentType}, "Kbn-Xsrf": {"true"}, "Osd-Xsrf": {"true"}},
	})
	if err != nil {
		return err
	}
	if err := json.Unmarshal(reply, v); err != nil {
		return fmt.Errorf("read the reply to %s, which is no Kibana's: %w", path, err)
	}
	return nil
}
