package elastic

import (
	"context"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/shipperd/shipperd/pkg/setting"
)

// auth proves to the cluster who we are.
type auth interface {
	// authorize adds the proof to a request that is otherwise complete: body is what
	// goes over the wire, nil for nothing, and no header may change afterwards.
	authorize(ctx context.Context, request *http.Request, body *body) error
	// refresh is called when the cluster did not believe it.
	refresh() error
	// secrets returns what must never be seen in a log.
	secrets() []string
}

// newAuth makes the auth that c asks for. With auto the host decides first: a
// domain of Amazon's takes nothing but a signature unless told otherwise.
func newAuth(ctx context.Context, c AuthConfig, endpoint *url.URL) (auth, error) {
	kind := c.Type
	amazon := strings.HasSuffix(endpoint.Hostname(), ".es.amazonaws.com")
	if kind == "auto" {
		switch {
		case c.Username != "":
			kind = "basic"
		case c.APIKeyFile != "":
			kind = "api_key"
		case amazon:
			kind = "sigv4"
		}
	}
	switch kind {
	case "basic":
		return newFileAuth("auth.password_file", c.PasswordFile, func(password string) string {
			r := http.Request{Header: http.Header{}}
			r.SetBasicAuth(c.Username, password)
			return r.Header.Get("Authorization")
		})
	case "api_key":
		return newFileAuth("auth.api_key_file", c.APIKeyFile, func(key string) string { return "ApiKey " + key })
	case "sigv4":
		return newSigner(ctx, c, endpoint.Hostname())
	}
	return noAuth{}, nil
}

type noAuth struct{}

func (noAuth) authorize(context.Context, *http.Request, *body) error { return nil }
func (noAuth) refresh() error                                        { return nil }
func (noAuth) secrets() []string                                     { return nil }

// fileAuth sends a header made of a secret in a file.
type fileAuth struct {
	key    string // of the configuration, that names the file
	file   string
	header func(secret string) string
	secret atomic.Pointer[setting.Secret]
}

func newFileAuth(key, file string, header func(string) string) (*fileAuth, error) {
	a := &fileAuth{key: key, file: file, header: header}
	return a, a.refresh()
}

func (a *fileAuth) authorize(_ context.Context, request *http.Request, _ *body) error {
	request.Header.Set("Authorization", a.header(a.secret.Load().Reveal()))
	return nil
}

// refresh reads the file again: it is how a rotated password arrives.
func (a *fileAuth) refresh() error {
	content, err := os.ReadFile(a.file)
	if err != nil {
		return fmt.Errorf("%s: %w", a.key, err)
	}
	text := strings.TrimSpace(string(content))
	if text == "" || strings.ContainsAny(text, "\r\n") {
		return fmt.Errorf("%s: %s does not hold one line", a.key, a.file)
	}
	secret := setting.NewSecret(text)
	a.secret.Store(&secret)
	return nil
}

func (a *fileAuth) secrets() []string {
	secret := a.secret.Load().Reveal()
	_, encoded, _ := strings.Cut(a.header(secret), " ")
	return []string{secret, encoded}
}

// signer signs with AWS Signature Version 4.
type signer struct {
	credentials     aws.CredentialsProvider
	cache           *aws.CredentialsCache // credentials, if they are cached
	signer          *v4.Signer
	region, service string
}

func newSigner(ctx context.Context, c AuthConfig, host string) (*signer, error) {
	loaded, err := awsconfig.LoadDefaultConfig(ctx)
	if err != nil {
		return nil, fmt.Errorf("load AWS configuration: %w", err)
	}
	region := c.Region
	if region == "" {
		region = hostRegion(host)
	}
	if region == "" {
		region = loaded.Region
	}
	if region == "" {
		return nil, fmt.Errorf("auth.region: %s does not tell, and there is no default", host)
	}
	s := &signer{signer: v4.NewSigner(), region: region, service: c.Service}
	s.credentials = loaded.Credentials
	if c.RoleARN != "" {
		loaded.Region = region
		s.credentials = aws.NewCredentialsCache(stscreds.NewAssumeRoleProvider(sts.NewFromConfig(loaded), c.RoleARN))
	}
	s.cache, _ = s.credentials.(*aws.CredentialsCache)
	return s, nil
}

// hostRegion finds the region in search-NAME-ID.REGION.es.amazonaws.com.
func hostRegion(host string) string {
	name, ok := strings.CutSuffix(host, ".es.amazonaws.com")
	if !ok {
		return ""
	}
	return name[strings.LastIndexByte(name, '.')+1:]
}

func (s *signer) authorize(ctx context.Context, request *http.Request, body *body) error {
	credentials, err := s.credentials.Retrieve(ctx)
	if err != nil {
		return fmt.Errorf("%w: retrieve AWS credentials: %w", errNotSent, err)
	}
	sum := body.sum()
	hash := hex.EncodeToString(sum[:])
	request.Header.Set("X-Amz-Content-Sha256", hash)
	err = s.signer.SignHTTP(ctx, credentials, request, hash, s.service, s.region, time.Now())
	if err != nil {
		return fmt.Errorf("%w: sign: %w", errNotSent, err)
	}
	return nil
}

func (s *signer) refresh() error {
	if s.cache != nil {
		s.cache.Invalidate()
	}
	return nil
}

// secrets has none: a signature tells nothing of the key, and is good for minutes.
func (s *signer) secrets() []string { return nil }
