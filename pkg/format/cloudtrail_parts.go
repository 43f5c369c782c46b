package format

import (
	"bytes"
	"strings"

	"github.com/shipperd/shipperd/pkg/jsonraw"
)

// trailField is one of the members of an event that are used.
type trailField uint8

// The fields; 0 is none of them.
const (
	eventVersion trailField = iota + 1
	eventTime
	eventSource
	eventName
	eventID
	eventType
	awsRegion
	recipientAccount
	readOnly
	sourceAddress
	userAgent
	errorCode
	errorMessage
	mfaUsed
	signInName

	identityType
	identityARN
	identityKey
	identityName
	identityPrincipal
	identityOnBehalf
	identityAccount
	sessionMFA
	issuerName

	requestParameters
	requestUser
	requestRole
	requestRoleARN
	requestPolicyARN
	requestGroup
	requestBucket
	requestDocument
	requestSecret
	requestTrail
	requestName
	requestInstance
	requestInstances
	requestInstanceSet

	responseElements
	consoleLogin
	serviceDetails
	createdKey
	grantedKey
	responsePublic

	// Objects that are only on the way to others.
	additionalData
	userIdentity
	onBehalfOf
	sessionContext
	sessionAttributes
	sessionIssuer
	instancesSet
	responseKey
	responseCredentials

	trailFields
)

// trailPaths are the places of the fields in an event.
func trailPaths() [trailFields]string {
	return [...]string{
		eventVersion:     "eventVersion",
		eventTime:        "eventTime",
		eventSource:      "eventSource",
		eventName:        "eventName",
		eventID:          "eventID",
		eventType:        "eventType",
		awsRegion:        "awsRegion",
		recipientAccount: "recipientAccountId",
		readOnly:         "readOnly",
		sourceAddress:    "sourceIPAddress",
		userAgent:        "userAgent",
		errorCode:        "errorCode",
		errorMessage:     "errorMessage",
		additionalData:   "additionalEventData",
		mfaUsed:          "additionalEventData.MFAUsed",
		signInName:       "additionalEventData.UserName",

		userIdentity:      "userIdentity",
		identityType:      "userIdentity.type",
		identityARN:       "userIdentity.arn",
		identityKey:       "userIdentity.accessKeyId",
		identityName:      "userIdentity.userName",
		identityPrincipal: "userIdentity.principalId",
		onBehalfOf:        "userIdentity.onBehalfOf",
		identityOnBehalf:  "userIdentity.onBehalfOf.userId",
		identityAccount:   "userIdentity.accountId",
		sessionContext:    "userIdentity.sessionContext",
		sessionAttributes: "userIdentity.sessionContext.attributes",
		sessionMFA:        "userIdentity.sessionContext.attributes.mfaAuthenticated",
		sessionIssuer:     "userIdentity.sessionContext.sessionIssuer",
		issuerName:        "userIdentity.sessionContext.sessionIssuer.userName",

		requestParameters:  "requestParameters",
		requestUser:        "requestParameters.userName",
		requestRole:        "requestParameters.roleName",
		requestRoleARN:     "requestParameters.roleArn",
		requestPolicyARN:   "requestParameters.policyArn",
		requestGroup:       "requestParameters.groupId",
		requestBucket:      "requestParameters.bucketName",
		requestDocument:    "requestParameters.documentName",
		requestSecret:      "requestParameters.secretId",
		requestTrail:       "requestParameters.trailName",
		requestName:        "requestParameters.name",
		requestInstance:    "requestParameters.instanceId",
		requestInstances:   "requestParameters.instanceIds",
		instancesSet:       "requestParameters.instancesSet",
		requestInstanceSet: "requestParameters.instancesSet.items",

		responseElements:    "responseElements",
		consoleLogin:        "responseElements.ConsoleLogin",
		serviceDetails:      "serviceEventDetails",
		responseKey:         "responseElements.accessKey",
		createdKey:          "responseElements.accessKey.accessKeyId",
		responseCredentials: "responseElements.credentials",
		grantedKey:          "responseElements.credentials.accessKeyId",
		responsePublic:      "responseElements.publiclyAccessible",
	}
}

// MemberNames returns the names of members that formats look for, and others that many
// events have. Those of Line.Members have to be numbered by it, at the front of a longer
// list or alone.
func MemberNames() []string {
	var names []string
	for _, path := range trailPaths() {
		if path != "" {
			names = append(names, path[strings.LastIndexByte(path, '.')+1:])
		}
	}
	return append(names, "webIdFederationData", "creationDate", "invokedBy", "tlsVersion", "cipherSuite",
		"clientProvidedHostHeader", "ARN", "key", "value", "filterSet", "maxResults", "Host", "SignatureVersion",
		"CipherSuite", "bytesTransferredIn", "AuthenticationMethod", "x-amz-id-2", "bytesTransferredOut")
}

// trailTable finds fields by the numbers of names.
type trailTable struct {
	names  *jsonraw.Names
	fields [trailFields][256]trailField // by the object's field, 0 for the event itself
	inner  [trailFields]bool            // whether a field has others inside
}

func newTrailTable() *trailTable {
	paths := trailPaths()
	byPath := make(map[string]trailField, len(paths))
	for field, path := range paths {
		byPath[path] = trailField(field)
	}
	t := &trailTable{names: jsonraw.NewNames(MemberNames()...)}
	for field, path := range paths[1:] {
		object, name := trailField(0), path
		if i := strings.LastIndexByte(path, '.'); i >= 0 {
			object, name = byPath[path[:i]], path[i+1:]
		}
		t.inner[object] = true
		t.fields[object][t.names.Find([]byte(name))] = trailField(field + 1)
	}
	return t
}

func (e *trailEvent) appendIdentity(b []byte, f *Fields) []byte {
	start := len(b)
	b = append(b, `"user_identity":{`...)
	b = e.appendText(b, f, `"type":"`, identityType)
	b = e.appendText(b, f, `"arn":"`, identityARN)
	b = e.appendText(b, f, `"access_key_id":"`, identityKey)
	session := len(b)
	b = append(b, `"session_context":{`...)
	b = closeObject(e.appendYes(b, `"mfa_authenticated":`, sessionMFA), session)
	return closeObject(b, start)
}

// appendRequest appends what is promoted of requestParameters.
func (e *trailEvent) appendRequest(b []byte, f *Fields) []byte {
	start := len(b)
	b = append(b, `"request":{`...)
	b = e.appendText(b, f, `"user_name":"`, requestUser)
	b = e.appendText(b, f, `"role_name":"`, requestRole)
	b = e.appendText(b, f, `"role_arn":"`, requestRoleARN)
	b = e.appendText(b, f, `"policy_arn":"`, requestPolicyARN)
	b = e.appendText(b, f, `"group_id":"`, requestGroup)
	b = e.appendText(b, f, `"bucket_name":"`, requestBucket)
	b = e.appendText(b, f, `"document_name":"`, requestDocument)
	b = e.appendText(b, f, `"secret_id":"`, requestSecret)
	trail := requestTrail
	if e.places[trail] == 0 && string(e.value(eventSource)) == `"cloudtrail.amazonaws.com"` {
		trail = requestName // which is that of a trail only there
	}
	b = e.appendText(b, f, `"trail_name":"`, trail)
	return closeObject(e.appendInstances(b), start)
}

// appendInstances appends the ids of instances: Systems Manager has a list of them, EC2
// one or a set of objects.
func (e *trailEvent) appendInstances(b []byte) []byte {
	const label = `"instance_ids":`
	start := len(b)
	b = append(b, label...)
	list := len(b)
	b = appendID(b, list, e.value(requestInstance))
	b = e.appendIDs(b, list, requestInstances)
	b = e.appendIDs(b, list, requestInstanceSet)
	if len(b) == list {
		return b[:start]
	}
	return append(b, "],"...)
}

// appendIDs appends the instanceId of the objects in an array, or its strings where it has
// no objects, to the list that begins at b[list].
func (e *trailEvent) appendIDs(b []byte, list int, field trailField) []byte {
	m := e.member(field)
	if m == nil || m.First != '[' {
		return b
	}
	inner := e.members[e.places[field]:][:m.Inner]
	for i := 0; i < len(inner); i += 1 + int(inner[i].Inner) {
		if string(inner[i].Key(e.line)) == "instanceId" {
			b = appendID(b, list, inner[i].Value(e.line))
		}
	}
	if len(inner) > 0 {
		return b
	}
	array := m.Value(e.line)
	a := jsonraw.ReadArray(array, 0)
	for start, ok := a.Next(); ok; start, ok = a.Next() {
		end := jsonraw.Skip(array, start)
		b = appendID(b, list, array[start:end])
		a.Took(end)
	}
	return b
}

// maxInstanceID is longer than any id (`mi-` and 17 digits); the field is for ids.
const maxInstanceID = 64

func appendID(b []byte, list int, value []byte) []byte {
	if !isText(value) || len(value) > maxInstanceID || len(b)-list > maxValue || bytes.IndexByte(value, '\\') >= 0 {
		return b
	}
	separator := byte(',')
	if len(b) == list {
		separator = '['
	}
	return append(append(b, separator), value...)
}

// appendResponse appends what is promoted of responseElements and of additionalEventData.
func (e *trailEvent) appendResponse(b []byte, f *Fields) []byte {
	start := len(b)
	b = append(b, `"console_login":{`...)
	b = e.appendText(b, f, `"result":"`, consoleLogin)
	b = closeObject(e.appendYes(b, `"mfa_used":`, mfaUsed), start)

	start = len(b)
	b = append(b, `"response":{`...)
	key := createdKey
	if e.places[key] == 0 {
		key = grantedKey
	}
	b = e.appendText(b, f, `"access_key_id":"`, key)
	return closeObject(e.appendYes(b, `"publicly_accessible":`, responsePublic), start)
}
