import FoundationEssentials
package import LeafSystem

extension InputFile {
    /// Decodes a file that is one small JSON value.
    ///
    /// - Parameters:
    ///   - most: bytes that such a file has at most; nothing of a larger one is read.
    ///   - what: what the file should be, for messages, such as `an index of shards`.
    /// - Throws: `.io`, and `.badInput` naming the first key that is not as it should be; a `LeafError` of the decoded
    ///   type with the path in front.
    package func json<Value: Decodable>(
        _ type: Value.Type, atMost most: Int, what: String
    ) throws(LeafError) -> Value {
        let bytes = try bytes(atMost: most, what: what)
        do {
            return try JSONDecoder().decode(type, from: Data(bytes))
        } catch let error as LeafError {
            throw LeafError(error.kind, "\(path): \(error.description)")
        } catch {
            throw LeafError(.badInput, "\(path) is not \(what): \(DecodingProblem(error))")
        }
    }

    /// All bytes of a small file.
    ///
    /// - Parameters: as above.
    package func bytes(atMost most: Int, what: String) throws(LeafError) -> [UInt8] {
        guard byteCount <= most else {
            throw LeafError(.badInput, "\(path) has \(byteCount.sizeText), too much for \(what)")
        }
        return try bytes(at: 0, count: byteCount)
    }
}
