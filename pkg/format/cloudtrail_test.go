package format

import "testing"

// A caller chooses much of what a response says: a "Failure" there is one of sign-ins alone.
func TestCloudTrailOutcomeIsThatOfTheCall(t *testing.T) {
	format := newFormat(t, "cloudtrail", Options{})
	for members, want := range map[string]string{
		`"eventSource":"s3.amazonaws.com"`:                                                                     "success",
		`"eventSource":"s3.amazonaws.com","errorCode":"AccessDenied"`:                                          "failure",
		`"eventSource":"s3.amazonaws.com","errorMessage":"denied"`:                                             "failure",
		`"eventSource":"s3.amazonaws.com","errorCode":"","errorMessage":null`:                                  "success",
		`"eventSource":"s3.amazonaws.com","responseElements":{"state":"Failure"}`:                              "success",
		`"eventSource":"signin.amazonaws.com","responseElements":{"ConsoleLogin":"Failure"}`:                   "failure",
		`"eventSource":"signin.amazonaws.com","responseElements":{"ConsoleLogin":"Success"}`:                   "success",
		`"eventSource":"x.amazonaws.com","eventType":"AwsConsoleSignIn","serviceEventDetails":{"a":"Failure"}`: "failure",
	} {
		fields, result := typed(t, format, `{"eventVersion":"1.08",`+members+`}`, goldenTime)
		if got := at(fields, "event.outcome"); result != Full || got != want {
			t.Errorf("%s: got %s with outcome %v, want %s", members, result.label(), got, want)
		}
	}
}
