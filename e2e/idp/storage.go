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

// User is a person who can sign in. Access token and ID token both have Tenant, Scope and Roles as the
// claims `tenant`, `scope` (space-delimited) and `roles` (absent if empty).
type User struct {
	Name, Tenant, Scope string
	Roles               []string
}

// DemoUsers are the people of the demo: alice may read orders, bob may not. Carol and dan have the roles of docs/tutorial.md.
func DemoUsers() []User {
	return []User{
		{Name: "alice", Tenant: "acme", Scope: "orders.read"},
		{Name: "bob", Tenant: "acme", Scope: "profile.read"},
		{Name: "carol", Tenant: "acme", Scope: "orders.read", Roles: []string{"clerk"}},
		{Name: "dan", Tenant: "shop", Scope: "orders.read", Roles: []string{"support"}},
	}
}

// claims are the user's claims beside the subject.
func (u User) claims() map[string]any {
	claims := map[string]any{"tenant": u.Tenant, "scope": u.Scope}
	if len(u.Roles) > 0 {
		claims["roles"] = u.Roles
	}
	return claims
}

// storage holds the data that the library needs: the users, one signing key, and the open sign-ins.
type storage struct {
	unsupported
	users map[string]User
	key   signingKey

	mu       sync.Mutex
	requests map[string]*authRequest // by request id
	codes    map[string]string       // authorization code → request id
}

func newStorage(users []User) (*storage, error) {
	// All verifiers of Tyk support RSA, so the provider signs RS256 as most providers do.
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

// signIn completes the sign-in with this request id.
func (s *storage) signIn(id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	request, ok := s.requests[id]
	if !ok {
		return fmt.Errorf("idp: no open sign-in %q", id)
	}
	if _, ok := s.users[request.LoginHint]; !ok {
		return fmt.Errorf("idp: no user %q: name a known user as login_hint", request.LoginHint)
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
	return nil, fmt.Errorf("idp: no open sign-in %q", id)
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
	return s.users[user].claims(), nil
}

// SetUserinfoFromRequest gives the ID token the same claims.
func (s *storage) SetUserinfoFromRequest(_ context.Context, info *oidc.UserInfo, r op.IDTokenRequest, _ []string) error {
	u := s.users[r.GetSubject()]
	info.Subject = u.Name
	for name, value := range u.claims() {
		info.AppendClaims(name, value)
	}
	return nil
}

func (s *storage) SigningKey(context.Context) (op.SigningKey, error) { return s.key, nil }
func (s *storage) KeySet(context.Context) ([]op.Key, error)          { return []op.Key{publicKey(s.key)}, nil }
func (s *storage) SignatureAlgorithms(context.Context) ([]jose.SignatureAlgorithm, error) {
	return []jose.SignatureAlgorithm{jose.RS256}, nil
}
func (s *storage) Health(context.Context) error { return nil }
