package idp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"golang.org/x/oauth2"
)

// Tokens are the result of a sign-in. Both are RS256 JWTs with the user as `sub`.
type Tokens struct {
	Access, ID string
}

// Login signs a user in at the provider with this issuer URL, as a browser and the shop would.
func Login(ctx context.Context, issuer, user string) (Tokens, error) {
	tokens, err := loginWithCode(ctx, issuer, user)
	if err != nil {
		return Tokens{}, fmt.Errorf("idp: sign in %s: %w", user, err)
	}
	return tokens, nil
}

func loginWithCode(ctx context.Context, issuer, user string) (Tokens, error) {
	verifier := oauth2.GenerateVerifier()
	shop := oauth2.Config{
		ClientID:    ClientID,
		RedirectURL: redirectURI,
		Scopes:      []string{"openid"},
		Endpoint: oauth2.Endpoint{
			AuthURL:   issuer + "/authorize",
			TokenURL:  issuer + "/oauth/token",
			AuthStyle: oauth2.AuthStyleInParams,
		},
	}
	page := shop.AuthCodeURL("demo", oauth2.S256ChallengeOption(verifier), oauth2.SetAuthURLParam("login_hint", user))
	code, err := followRedirects(ctx, page)
	if err != nil {
		return Tokens{}, err
	}
	token, err := shop.Exchange(ctx, code, oauth2.VerifierOption(verifier))
	if err != nil {
		return Tokens{}, err
	}
	id, ok := token.Extra("id_token").(string)
	if !ok {
		return Tokens{}, errors.New("the token endpoint sent no id_token")
	}
	return Tokens{Access: token.AccessToken, ID: id}, nil
}

// followRedirects follows the redirects from page until the provider sends the browser back to the
// shop, and returns the code in that redirect.
func followRedirects(ctx context.Context, page string) (string, error) {
	browser := http.Client{CheckRedirect: func(next *http.Request, _ []*http.Request) error {
		if strings.HasPrefix(next.URL.String(), redirectURI) {
			return http.ErrUseLastResponse
		}
		return nil
	}}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, page, nil)
	if err != nil {
		return "", err
	}
	response, err := browser.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	back, err := response.Location()
	if err != nil {
		text, _ := io.ReadAll(io.LimitReader(response.Body, 1024))
		return "", fmt.Errorf("the provider answered %s: %s", response.Status, text)
	}
	if code := back.Query().Get("code"); code != "" {
		return code, nil
	}
	return "", fmt.Errorf("the provider rejected the sign-in: %s", back.Query().Get("error_description"))
}
