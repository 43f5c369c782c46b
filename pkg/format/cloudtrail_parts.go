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

func (i *identity) read(o object) {
	for key, m := range o.own {
		switch string(key) {
		case "type":
			i.kind = m.value
		case "arn":
			i.arn = m.value
		case "accessKeyId":
			i.accessKey = m.value
		case "userName":
			i.name = m.value
		case "principalId":
			i.principal = m.value
		case "accountId":
			i.account = m.value
		case "sessionContext":
			i.readSession(m)
		}
	}
}

func (i *identity) readSession(o object) {
	i.mfa, i.issuer = nil, nil
	for key, m := range o.own {
		switch string(key) {
		case "attributes":
			i.mfa = m.member("mfaAuthenticated")
		case "sessionIssuer":
			i.issuer = m.member("userName")
		}
	}
}

// hidden is what AWS writes for the user name of a failed sign-in, which may be a
// mistyped password.
const hidden = `"HIDDEN_DUE_TO_SECURITY_REASONS"`

func (i *identity) addUser(f *Fields) {
	name := i.name
	if !isText(name) {
		name = i.issuer // the role that was assumed
	}
	if string(name) != hidden {
		f.JSONString(User, "name", name)
		f.RelatedUser(f.text(name))
	}
	f.JSONString(User, "id", i.principal)
}

func (i *identity) addTo(f *Fields) {
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
	case "name":
		if ofTrails {
			return &r.trail
		}
	}
	return nil
}

func (r *request) read(o object, ofTrails bool) {
	for key, m := range o.own {
		if string(key) == "instancesSet" {
			r.instanceSet = m.member("items")
		} else if place := r.place(key, ofTrails); place != nil {
			*place = m.value
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
	return appendIDs(dst, r.instanceSet)
}

// appendIDs appends the strings of an array, or those in its objects' instanceId.
func appendIDs(dst, array []byte) []byte {
	a := jsonraw.ReadArray(array, 0)
	for start, ok := a.Next(); ok; start, ok = a.Next() {
		end := jsonraw.Skip(array, start)
		if end < 0 {
			return dst
		}
		if array[start] == '{' {
			dst = appendID(dst, instanceID(array[start:end]))
		} else {
			dst = appendID(dst, array[start:end])
		}
		a.Took(end)
	}
	return dst
}

// instanceID returns the instanceId of an object, or nil.
func instanceID(text []byte) []byte {
	o := jsonraw.ReadObject(text, 0)
	for o.Next() {
		if string(o.Key) == "instanceId" {
			return o.Value
		}
	}
	return nil
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

func (r *response) read(o object) {
	for key, m := range o.own {
		switch string(key) {
		case "ConsoleLogin":
			r.consoleLogin = m.value
		case "accessKey", "credentials":
			r.accessKey = m.member("accessKeyId")
		case "publiclyAccessible":
			r.public = m.value
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
