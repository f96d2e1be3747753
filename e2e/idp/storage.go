package idp

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/uuid"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

// storage is what the library asks us to keep: the users, one signing key, and the sign-ins under way.
type storage struct {
	unsupported
	users map[string]User
	key   signingKey

	mu       sync.Mutex
	requests map[string]*authRequest // by request id
	codes    map[string]string       // authorization code → request id
}

func newStorage(users []User) (*storage, error) {
	// Tyk's verifiers know RSA everywhere, so the provider signs RS256 as most providers do.
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, fmt.Errorf("idp: cannot make a signing key: %w", err)
	}
	s := &storage{
		users:    map[string]User{},
		key:      signingKey{id: uuid.NewString(), private: private},
		requests: map[string]*authRequest{},
		codes:    map[string]string{},
	}
	for _, u := range users {
		s.users[u.Name] = u
	}
	return s, nil
}

// signIn completes the sign-in that a login page was opened for.
func (s *storage) signIn(id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	request, ok := s.requests[id]
	if !ok {
		return fmt.Errorf("idp: no sign-in %q is under way", id)
	}
	if _, ok := s.users[request.LoginHint]; !ok {
		return fmt.Errorf("idp: nobody is called %q here: name a known user as login_hint", request.LoginHint)
	}
	request.signedIn = time.Now()
	return nil
}

func (s *storage) CreateAuthRequest(_ context.Context, r *oidc.AuthRequest, _ string) (op.AuthRequest, error) {
	request := &authRequest{AuthRequest: *r, id: uuid.NewString()}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests[request.id] = request
	return request, nil
}

func (s *storage) AuthRequestByID(_ context.Context, id string) (op.AuthRequest, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if request, ok := s.requests[id]; ok {
		return request, nil
	}
	return nil, fmt.Errorf("idp: no sign-in %q is under way", id)
}

func (s *storage) AuthRequestByCode(ctx context.Context, code string) (op.AuthRequest, error) {
	s.mu.Lock()
	id := s.codes[code]
	s.mu.Unlock()
	return s.AuthRequestByID(ctx, id)
}

func (s *storage) SaveAuthCode(_ context.Context, id, code string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.codes[code] = id
	return nil
}

func (s *storage) DeleteAuthRequest(_ context.Context, id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.requests, id)
	return nil
}

func (s *storage) CreateAccessToken(context.Context, op.TokenRequest) (string, time.Time, error) {
	return uuid.NewString(), time.Now().Add(tokenLifetime), nil
}

func (s *storage) GetClientByClientID(_ context.Context, id string) (op.Client, error) {
	if id != ClientID {
		return nil, fmt.Errorf("idp: unknown client %q", id)
	}
	return shopClient{}, nil
}

// GetPrivateClaimsFromScopes gives the access token its claims.
func (s *storage) GetPrivateClaimsFromScopes(_ context.Context, user, _ string, _ []string) (map[string]any, error) {
	u := s.users[user]
	return map[string]any{"tenant": u.Tenant, "scope": u.Scope}, nil
}

// SetUserinfoFromRequest gives the ID token the same claims.
func (s *storage) SetUserinfoFromRequest(_ context.Context, info *oidc.UserInfo, r op.IDTokenRequest, _ []string) error {
	u := s.users[r.GetSubject()]
	info.Subject = u.Name
	info.AppendClaims("tenant", u.Tenant)
	info.AppendClaims("scope", u.Scope)
	return nil
}

func (s *storage) SigningKey(context.Context) (op.SigningKey, error) { return s.key, nil }
func (s *storage) KeySet(context.Context) ([]op.Key, error)          { return []op.Key{publicKey(s.key)}, nil }
func (s *storage) SignatureAlgorithms(context.Context) ([]jose.SignatureAlgorithm, error) {
	return []jose.SignatureAlgorithm{jose.RS256}, nil
}
func (s *storage) Health(context.Context) error { return nil }
