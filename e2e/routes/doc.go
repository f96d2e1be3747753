// Package routes compares, request by request, what the real Tyk does with a definition, the answer of `meshpass routes explain`, and what
// real Envoys do with the routes that `meshpass routes render` writes and real istiod configures.
package routes
