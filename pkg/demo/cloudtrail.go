package demo

import (
	"encoding/json"
	"fmt"
	"time"
)

// call is an event of CloudTrail, in its own key order.
type call struct {
	EventVersion       string         `json:"eventVersion"`
	UserIdentity       identity       `json:"userIdentity"`
	EventTime          string         `json:"eventTime"`
	EventSource        string         `json:"eventSource"`
	EventName          string         `json:"eventName"`
	AWSRegion          string         `json:"awsRegion"`
	SourceIPAddress    string         `json:"sourceIPAddress"`
	UserAgent          string         `json:"userAgent"`
	ErrorCode          string         `json:"errorCode,omitempty"`
	ErrorMessage       string         `json:"errorMessage,omitempty"`
	RequestParameters  map[string]any `json:"requestParameters"`
	ResponseElements   map[string]any `json:"responseElements"`
	RequestID          string         `json:"requestID"`
	EventID            string         `json:"eventID"`
	ReadOnly           bool           `json:"readOnly"`
	EventType          string         `json:"eventType"`
	ManagementEvent    bool           `json:"managementEvent"`
	RecipientAccountID string         `json:"recipientAccountId"`
	EventCategory      string         `json:"eventCategory"`
}

type identity struct {
	Type        string `json:"type"`
	PrincipalID string `json:"principalId,omitempty"`
	ARN         string `json:"arn,omitempty"`
	AccountID   string `json:"accountId,omitempty"`
	AccessKeyID string `json:"accessKeyId,omitempty"`
	UserName    string `json:"userName,omitempty"`
	InvokedBy   string `json:"invokedBy,omitempty"`
}

// cloudTrail completes c and writes it.
func (s *Site) cloudTrail(c call) Event {
	c.EventVersion, c.EventType, c.EventCategory = "1.11", "AwsApiCall", "Management"
	c.EventTime = s.now.Format(time.RFC3339)
	c.AWSRegion, c.RecipientAccountID, c.ManagementEvent = Region, Account, true
	c.RequestID, c.EventID = s.uuid(), s.uuid()
	text, err := json.Marshal(c)
	if err != nil {
		panic(fmt.Sprintf("demo: encode %s: %v", c.EventName, err))
	}
	return Event{
		Group:   CloudTrailLogGroup,
		Stream:  Account + "_CloudTrail_" + Region,
		Message: string(text),
	}
}

// routine is what happens in an account by itself and by its administrator.
func (s *Site) routine() call {
	if s.chance(1, 2) {
		return call{
			UserIdentity:    identity{Type: "AWSService", InvokedBy: "autoscaling.amazonaws.com"},
			EventSource:     "ec2.amazonaws.com",
			EventName:       "DescribeInstances",
			SourceIPAddress: "autoscaling.amazonaws.com",
			UserAgent:       "autoscaling.amazonaws.com",
			RequestParameters: map[string]any{
				"instancesSet": map[string]any{"items": []any{map[string]any{"instanceId": s.servers[0].instance}}},
			},
			ReadOnly: true,
		}
	}
	name := pick(s, []string{"GetMetricData", "DescribeAlarms", "ListMetrics"})
	return call{
		UserIdentity:    user("administrator", "AKIAIOSFODNN7EXAMPLE"),
		EventSource:     "monitoring.amazonaws.com",
		EventName:       name,
		SourceIPAddress: administrator,
		UserAgent:       "Mozilla/5.0 (X11; Linux x86_64; rv:121.0) Gecko/20100101 Firefox/121.0",
		ReadOnly:        true,
	}
}

// theft is what somebody tries with the key of the deployment user.
func (s *Site) theft() call {
	steps := []call{
		{EventSource: "sts.amazonaws.com", EventName: "GetCallerIdentity", ReadOnly: true},
		{EventSource: "iam.amazonaws.com", EventName: "ListUsers", ReadOnly: true, ErrorCode: "AccessDenied"},
		{EventSource: "iam.amazonaws.com", EventName: "CreateAccessKey", ErrorCode: "AccessDenied",
			RequestParameters: map[string]any{"userName": "administrator"}},
		{EventSource: "s3.amazonaws.com", EventName: "ListBuckets", ReadOnly: true, ErrorCode: "AccessDenied"},
		{EventSource: "ssm.amazonaws.com", EventName: "DescribeInstanceInformation", ReadOnly: true,
			RequestParameters: map[string]any{"maxResults": 50}},
		{EventSource: "ssm.amazonaws.com", EventName: "GetParameter", ReadOnly: true,
			RequestParameters: map[string]any{"name": "/shop/database/password", "withDecryption": true}},
		{EventSource: "ssm.amazonaws.com", EventName: "SendCommand",
			RequestParameters: map[string]any{
				"documentName": "AWS-RunShellScript",
				"instanceIds":  []string{s.servers[0].instance, s.servers[1].instance},
				"parameters":   "HIDDEN_DUE_TO_SECURITY_REASONS",
			},
			ResponseElements: map[string]any{"command": map[string]any{"commandId": s.uuid(), "status": "Pending"}}},
	}
	c := pick(s, steps)
	c.UserIdentity = user("deployment", "AKIAI44QH8DHBEXAMPLE")
	c.SourceIPAddress = stealer
	c.UserAgent = "aws-cli/2.15.30 Python/3.11.8 Linux/6.1.0 exe/x86_64.debian.12"
	if c.ErrorCode != "" {
		c.ErrorMessage = fmt.Sprintf("User: %s is not authorized to perform: %s", c.UserIdentity.ARN, c.EventName)
	}
	return c
}

func user(name, key string) identity {
	return identity{
		Type:        "IAMUser",
		PrincipalID: "AIDACKCEVSQ6C2EXAMPLE",
		ARN:         "arn:aws:iam::" + Account + ":user/" + name,
		AccountID:   Account,
		AccessKeyID: key,
		UserName:    name,
	}
}

// uuid returns a random UUID, version 4.
func (s *Site) uuid() string {
	high, low := s.random.Uint64(), s.random.Uint64()
	return fmt.Sprintf("%08x-%04x-4%03x-%04x-%012x",
		high>>32, high>>16&0xffff, high&0xfff, 0x8000|low>>48&0x3fff, low&0xffffffffffff)
}
