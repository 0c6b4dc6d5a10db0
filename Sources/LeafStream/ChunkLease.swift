internal import LeafSystem

/// One consumer's use of one chunk: the bytes stay where they are until the lease ends, which is at the end of its
/// scope.
///
/// It holds the store's memory, so that it may outlive the store.
package struct ChunkLease: ~Copyable, @unchecked Sendable {
    /// Index into the file's chunks.
    package let chunk: Int
    private let memory: UnsafeRawBufferPointer
    private let readAhead: ReadAhead

    init(of chunk: Int, in readAhead: ReadAhead, consumer: Int) throws(LeafError) {
        memory = try readAhead.acquire(chunk, consumer: consumer)
        self.chunk = chunk
        self.readAhead = readAhead
    }

    /// A lease beside the sweep, which counts for none of its consumers.
    init(borrowing chunk: Int, from readAhead: ReadAhead) throws(LeafError) {
        memory = try readAhead.borrow(chunk)
        self.chunk = chunk
        self.readAhead = readAhead
    }

    deinit { readAhead.release(chunk) }

    /// The chunk's `rawBytes` bytes, verified and unpacked; they begin at a page.
    package var bytes: RawSpan {
        @_lifetime(borrow self)
        borrowing get { _overrideLifetime(RawSpan(_unsafeBytes: memory), borrowing: self) }
    }
}
