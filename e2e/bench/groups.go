package bench

// Groups are all groups, in the order of their measurement.
func Groups() []Group {
	return []Group{
		newCheckGroup(), newRulesGroup(), newMemoryGroup(), newPartsGroup(),
		newHeaderGroup(), newHopGroup(), newGatewayGroup(), newAlgorithmGroup(),
		newPeerGroup(),
	}
}
