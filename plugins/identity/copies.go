package main

import (
	"net/http"
	"slices"

	"github.com/TykTechnologies/tyk/apidef"
	tykconfig "github.com/TykTechnologies/tyk/config"
	"github.com/TykTechnologies/tyk/ctx"
	"github.com/TykTechnologies/tyk/user"

	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/identity"
)

// copies is what Tyk would keep of an API's requests and answers after our hook.
type copies struct {
	cached    bool // answers, in its response cache
	recorded  bool // requests with all their headers, in analytics
	analytics bool // requests at all; some sessions ask for all headers, too
}

func copiesOf(d *apidef.APIDefinition) copies {
	global := tykconfig.Global()
	return copies{
		cached:    d.CacheOptions.EnableCache && (d.CacheOptions.CacheAllSafeRequests || hasCachedPaths(d)),
		recorded:  d.EnableDetailedRecording || d.GraphQL.Enabled || global.AnalyticsConfig.EnableDetailedRecording || slices.ContainsFunc(d.TagHeaders, identity.IsReservedHeader),
		analytics: global.EnableAnalytics && !d.DoNotTrack,
	}
}

func hasCachedPaths(d *apidef.APIDefinition) bool {
	for _, version := range d.VersionData.Versions {
		paths := version.ExtendedPaths
		if len(paths.Cached) > 0 || slices.ContainsFunc(paths.AdvanceCacheConfig, func(c apidef.CacheMeta) bool { return !c.Disabled }) {
			return true
		}
	}
	return false
}

// refuseCopies refuses what the plugin's file does not admit of these copies.
//
// The key of Tyk's response cache is the session's, which two users of the same
// name share whose tokens are from two issuers: one would get the other's
// answer, and no hop would decide. A detailed record is written when the upstream
// has answered and holds the token, which is still valid then.
func (a *api) refuseCopies(session *user.SessionState, r *http.Request) error {
	org, _ := r.Context().Value(ctx.OrgSessionContext).(*user.SessionState)
	switch {
	case a.cached && !a.mayCache:
		return refuse(decision.ResponseCache, "API %s: switch the response cache off; "+
			"where answers may be given without asking the mesh, and to users of the same name, name the API under allow.responseCache", a.ID)
	case a.analytics && (a.recorded || recorded(session) || recorded(org)) && !a.mayRecord:
		return refuse(decision.DetailedRecording, "API %s: switch detailed recording off (in its definition, the caller's key, the organisation or tyk.conf); "+
			"where valid tokens may stand in analytics, name the API under allow.detailedRecording", a.ID)
	}
	return nil
}

func recorded(s *user.SessionState) bool {
	return s != nil && (s.EnableDetailedRecording || s.EnableDetailRecording) //nolint:staticcheck // Tyk still obeys the old name
}
