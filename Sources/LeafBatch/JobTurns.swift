package import LeafWire

/// When requests of a job may begin, where others use the same model at the same time.
package protocol JobTurns {
    /// Whether a request may begin now; it has begun then.
    ///
    /// - Parameter milliseconds: to wait at most until it may.
    func take(_ request: AnyRequest, within milliseconds: Int32) -> Bool
    /// A request that had begun is over.
    func giveBack(_ request: AnyRequest)
}
