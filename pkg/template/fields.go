package template

// field is one mapped field.
type field struct {
	path    string
	mapping object
}

// typedFields are the fields under the reserved roots, which the formats write,
// and those of CloudTrail's own objects. Of the latter only fields with one kind
// of value are mapped: AWS's services put what they like into additionalEventData.
func typedFields() (all []field) {
	of := func(mapping func() object, paths ...string) {
		for _, path := range paths {
			all = append(all, field{path, mapping()})
		}
	}
	for _, end := range []string{"source.", "destination."} {
		of(keyword, end+"address", end+"scope", end+"as.organization.name",
			end+"geo.continent_code", end+"geo.country_iso_code", end+"geo.country_name",
			end+"geo.region_iso_code", end+"geo.region_name", end+"geo.city_name")
		of(ip, end+"ip")
		of(long, end+"port", end+"bytes", end+"packets", end+"as.number")
		of(point, end+"geo.location")
	}
	of(keyword,
		"user.id", "user.name",
		"user_agent.name", "user_agent.version", "user_agent.original", "user_agent.os.full", "user_agent.os.name", "user_agent.os.version",
		"http.version", "http.request.method", "http.request.referrer",
		"url.original", "url.domain", "url.path", "url.query",
		"network.community_id", "network.direction", "network.iana_number", "network.transport", "network.type",
		"event.action", "event.category", "event.code", "event.dataset", "event.id", "event.kind", "event.outcome",
		"event.provider", "event.reason", "event.type",
		"cloud.account.id", "cloud.region", "related.user", "observer.hostname", "ecs.version")
	of(long, "http.response.status_code", "http.response.body.bytes", "network.bytes", "network.packets")
	of(date, "event.start", "event.end", "event.ingested")
	of(ip, "related.ip")
	of(keyword, "shipperd.parser", "shipperd.template", "shipperd.method", "shipperd.log.level", "shipperd.process.name",
		"shipperd.rejected.type", "shipperd.rejected.field")
	of(words, "shipperd.rejected.reason", "shipperd.rejected.fields")
	of(long, "shipperd.repeat", "shipperd.process.pid", "shipperd.process.tid")
	of(boolean, "shipperd.partial", "shipperd.too_complex")
	return append(append(all, flowFields()...), trailFields()...)
}

// flowFields are those of aws.vpcflow, up to version 10 of the flow logs.
func flowFields() (all []field) {
	of := func(mapping func() object, names ...string) {
		for _, name := range names {
			all = append(all, field{"aws.vpcflow." + name, mapping()})
		}
	}
	of(long, "version", "tcp_flags", "traffic_path", "packets_lost_no_route", "packets_lost_blackhole",
		"packets_lost_mtu_exceeded", "packets_lost_ttl_expired")
	of(ip, "pkt_srcaddr", "pkt_dstaddr")
	of(keyword, "account_id", "interface_id", "action", "log_status", "vpc_id", "subnet_id", "instance_id", "type", "region",
		"az_id", "sublocation_type", "sublocation_id", "pkt_src_aws_service", "pkt_dst_aws_service", "flow_direction",
		"reject_reason", "resource_id", "resource_type", "encryption_status")
	return all
}

// trailFields are those of aws.cloudtrail, and of the objects at the root of an event.
func trailFields() (all []field) {
	of := func(mapping func() object, prefix string, names ...string) {
		for _, name := range names {
			all = append(all, field{prefix + name, mapping()})
		}
	}
	trail := "aws.cloudtrail."
	of(keyword, trail+"user_identity.", "type", "arn", "access_key_id")
	of(boolean, trail, "user_identity.session_context.mfa_authenticated", "console_login.mfa_used", "response.publicly_accessible")
	of(keyword, trail, "console_login.result", "response.access_key_id")
	of(keyword, trail+"request.", "user_name", "role_name", "role_arn", "policy_arn", "group_id", "instance_ids", "bucket_name",
		"document_name", "secret_id", "trail_name")

	whole := func() object { return text(maxKeyword) }
	of(whole, "userIdentity.", "type", "principalId", "arn", "accountId", "accessKeyId", "userName", "invokedBy",
		"identityProvider", "credentialId", "onBehalfOf.userId", "onBehalfOf.identityStoreArn",
		"sessionContext.attributes.mfaAuthenticated", "sessionContext.ec2RoleDelivery", "sessionContext.sourceIdentity",
		"sessionContext.sessionIssuer.type", "sessionContext.sessionIssuer.principalId", "sessionContext.sessionIssuer.arn",
		"sessionContext.sessionIssuer.accountId", "sessionContext.sessionIssuer.userName",
		"sessionContext.webIdFederationData.federatedProvider")
	of(date, "userIdentity.sessionContext.attributes.", "creationDate")
	of(whole, "additionalEventData.", "ARN", "AuthenticationMethod", "CipherSuite", "LoginTo", "MFAIdentifier", "MFAUsed",
		"MfaType", "MobileVersion", "Name", "SignatureVersion", "x-amz-id-2")
	of(long, "additionalEventData.", "bytesTransferredIn", "bytesTransferredOut")
	of(whole, "resources.", "ARN", "accountId", "type")
	of(whole, "tlsDetails.", "tlsVersion", "cipherSuite", "clientProvidedHostHeader")
	of(whole, "addendum.", "reason", "updatedFields", "originalRequestID", "originalEventID")
	of(whole, "insightDetails.", "state", "eventSource", "eventName", "insightType")
	return all
}

// flattenedFields are whole objects, where the engine has a type for them.
func flattenedFields() []string {
	return []string{"aws.cloudtrail.flattened.request_parameters", "aws.cloudtrail.flattened.response_elements"}
}
