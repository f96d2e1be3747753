package tykapi

import (
	"net/http"
	"slices"

	"github.com/TykTechnologies/tyk/apidef"
	tykconfig "github.com/TykTechnologies/tyk/config"
	"github.com/TykTechnologies/tyk/ctx"
	"github.com/TykTechnologies/tyk/user"

	"github.com/meshpass/meshpass/internal/gateway/settings"
	"github.com/meshpass/meshpass/plugins/identity/denial"
	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/identity"
)

// copies is what Tyk would store of an API's requests and answers after our hook.
type copies struct {
	cached    bool // answers, in its response cache
	recorded  bool // requests with all their headers, in analytics
	analytics bool // requests without headers; a session can ask for all headers too

	mayCache, mayRecord bool // the plugin's file permits it
}

func copiesOf(d *apidef.APIDefinition, allow settings.Allow) copies {
	global := tykconfig.Global()
	return copies{
		cached:    d.CacheOptions.EnableCache && (d.CacheOptions.CacheAllSafeRequests || hasCachedPaths(d)),
		recorded:  d.EnableDetailedRecording || d.GraphQL.Enabled || global.AnalyticsConfig.EnableDetailedRecording || slices.ContainsFunc(d.TagHeaders, identity.IsReservedHeader),
		analytics: global.EnableAnalytics && !d.DoNotTrack,
		mayCache:  slices.Contains(allow.ResponseCache, d.APIID),
		mayRecord: slices.Contains(allow.DetailedRecording, d.APIID),
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

// checkPermitted denies a request if Tyk would store a copy of it that the plugin's file does not permit.
//
// The key of Tyk's response cache is the session's. Two users of the same name, with tokens of two
// issuers, share it: one would get the other's answer, and no hop would decide. A detailed record is
// written after the upstream has answered, and contains the token, which is still valid then.
func (c copies) checkPermitted(apiID string, session *user.SessionState, r *http.Request) error {
	org, _ := r.Context().Value(ctx.OrgSessionContext).(*user.SessionState)
	switch {
	case c.cached && !c.mayCache:
		return denial.New(decision.ResponseCache, "API %s: switch the response cache off; "+
			"where answers may be given without asking the mesh, and to users of the same name, name the API under allow.responseCache", apiID)
	case c.analytics && (c.recorded || wantsDetails(session) || wantsDetails(org)) && !c.mayRecord:
		return denial.New(decision.DetailedRecording, "API %s: switch detailed recording off (in its definition, the caller's key, the organisation or tyk.conf); "+
			"where valid tokens may stand in analytics, name the API under allow.detailedRecording", apiID)
	}
	return nil
}

// wantsDetails reports whether a session has all headers of its requests recorded.
func wantsDetails(s *user.SessionState) bool {
	return s != nil && (s.EnableDetailedRecording || s.EnableDetailRecording) //nolint:staticcheck // Tyk still obeys the old name
}
