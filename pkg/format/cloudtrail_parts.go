package format

import (
	"bytes"

	"github.com/shipperd/shipperd/pkg/jsonraw"
)

// identity is what is used of userIdentity.
type identity struct {
	kind, arn, accessKey, name, principal, account []byte
	mfa, issuer                                    []byte // of the session
}

func (i *identity) read(value []byte) {
	o := jsonraw.ReadObject(value, 0)
	for start, ok := o.NextKey(); ok; start, ok = o.NextKey() {
		if string(o.Key) == "sessionContext" && start < len(value) && value[start] == '{' {
			o.Took(i.readSession(value, start))
			continue
		}
		if !o.ReadValue(start) {
			return
		}
		switch string(o.Key) {
		case "type":
			i.kind = o.Value
		case "arn":
			i.arn = o.Value
		case "accessKeyId":
			i.accessKey = o.Value
		case "userName":
			i.name = o.Value
		case "principalId":
			i.principal = o.Value
		case "accountId":
			i.account = o.Value
		}
	}
}

// readSession reads the sessionContext at value[start] in place, half of a
// userIdentity, and returns where it ends.
func (i *identity) readSession(value []byte, start int) (end int) {
	i.mfa, i.issuer = nil, nil
	o := jsonraw.ReadObject(value, start)
	for o.Next() {
		switch string(o.Key) {
		case "attributes":
			i.mfa = member(o.Value, "mfaAuthenticated")
		case "sessionIssuer":
			i.issuer = member(o.Value, "userName")
		}
	}
	return o.End()
}

// hidden is what AWS writes for the user name of a failed sign-in, which may be a
// mistyped password.
const hidden = `"HIDDEN_DUE_TO_SECURITY_REASONS"`

func (i *identity) addTo(f *Fields) {
	name := i.name
	if !isText(name) {
		name = i.issuer // the role that was assumed
	}
	if string(name) != hidden {
		f.JSONString(User, "name", name)
		f.RelatedUser(f.text(name))
	}
	f.JSONString(User, "id", i.principal)

	f.Open(AWS, "user_identity")
	f.JSONString(AWS, "type", i.kind)
	f.JSONString(AWS, "arn", i.arn)
	f.JSONString(AWS, "access_key_id", i.accessKey)
	f.Open(AWS, "session_context")
	f.addYes("mfa_authenticated", i.mfa)
	f.Close(AWS)
	f.Close(AWS)
}

// addYes writes a boolean for the strings that stand for one; other values are
// left out.
func (f *Fields) addYes(name string, value []byte) {
	switch string(value) {
	case `"true"`, `"Yes"`, "true":
		f.Bool(AWS, name, true)
	case `"false"`, `"No"`, "false":
		f.Bool(AWS, name, false)
	}
}

// request is what is promoted of requestParameters.
type request struct {
	user, role, roleARN, policyARN, group, bucket, document, secret, trail []byte
	instance, instances, instanceSet                                       []byte
}

// place returns where the value of a key goes, or nil. Only CloudTrail itself
// calls a trail `name`.
func (r *request) place(key []byte, ofTrails bool) *[]byte {
	switch string(key) {
	case "userName":
		return &r.user
	case "roleName":
		return &r.role
	case "roleArn":
		return &r.roleARN
	case "policyArn":
		return &r.policyARN
	case "groupId":
		return &r.group
	case "bucketName":
		return &r.bucket
	case "documentName":
		return &r.document
	case "secretId":
		return &r.secret
	case "trailName":
		return &r.trail
	case "instanceId":
		return &r.instance
	case "instanceIds":
		return &r.instances
	case "instancesSet":
		return &r.instanceSet
	case "name":
		if ofTrails {
			return &r.trail
		}
	}
	return nil
}

func (r *request) read(value []byte, ofTrails bool) {
	o := jsonraw.ReadObject(value, 0)
	for o.Next() {
		if place := r.place(o.Key, ofTrails); place != nil {
			*place = o.Value
		}
	}
}

func (r *request) addTo(f *Fields) {
	f.Open(AWS, "request")
	f.JSONString(AWS, "user_name", r.user)
	f.JSONString(AWS, "role_name", r.role)
	f.JSONString(AWS, "role_arn", r.roleARN)
	f.JSONString(AWS, "policy_arn", r.policyARN)
	f.JSONString(AWS, "group_id", r.group)
	f.JSONString(AWS, "bucket_name", r.bucket)
	f.JSONString(AWS, "document_name", r.document)
	f.JSONString(AWS, "secret_id", r.secret)
	f.JSONString(AWS, "trail_name", r.trail)
	f.ids = r.appendInstances(f.ids[:0])
	if len(f.ids) > 0 {
		f.Raw(AWS, "instance_ids", append(f.ids, ']'))
	}
	f.Close(AWS)
	if string(r.user) != hidden {
		f.RelatedUser(f.text(r.user))
	}
}

// appendInstances appends `["i-1","i-2"` or nothing: Systems Manager has a list of
// ids, EC2 one id or a set of objects.
func (r *request) appendInstances(dst []byte) []byte {
	dst = appendID(dst, r.instance)
	dst = appendIDs(dst, r.instances)
	return appendIDs(dst, member(r.instanceSet, "items"))
}

// appendIDs appends the strings of an array, or those in its objects' instanceId.
func appendIDs(dst, array []byte) []byte {
	a := jsonraw.ReadArray(array, 0)
	for start, ok := a.Next(); ok; start, ok = a.Next() {
		end := jsonraw.Skip(array, start)
		if end < 0 {
			return dst
		}
		value := array[start:end]
		if value[0] == '{' {
			value = member(value, "instanceId")
		}
		dst = appendID(dst, value)
		a.Took(end)
	}
	return dst
}

// maxInstanceID is longer than any id (`mi-` and 17 digits); the field is for ids.
const maxInstanceID = 64

func appendID(dst, value []byte) []byte {
	if !isText(value) || len(value) > maxInstanceID || len(dst) > maxValue || bytes.IndexByte(value, '\\') >= 0 {
		return dst
	}
	separator := byte(',')
	if len(dst) == 0 {
		separator = '['
	}
	return append(append(dst, separator), value...)
}

// response is what is promoted of responseElements.
type response struct {
	consoleLogin, accessKey, public []byte
}

func (r *response) read(value []byte) {
	o := jsonraw.ReadObject(value, 0)
	for o.Next() {
		switch string(o.Key) {
		case "ConsoleLogin":
			r.consoleLogin = o.Value
		case "accessKey", "credentials":
			r.accessKey = member(o.Value, "accessKeyId")
		case "publiclyAccessible":
			r.public = o.Value
		}
	}
}

func (r *response) addTo(f *Fields, mfaUsed []byte) {
	f.Open(AWS, "console_login")
	f.JSONString(AWS, "result", r.consoleLogin)
	f.addYes("mfa_used", mfaUsed)
	f.Close(AWS)
	f.Open(AWS, "response")
	f.JSONString(AWS, "access_key_id", r.accessKey)
	f.addYes("publicly_accessible", r.public)
	f.Close(AWS)
}
