/// How weights are read.
public enum IOMode: String, Sendable, CaseIterable {
    /// `direct` where the file system takes it, else `buffered`.
    case auto
    /// A window of the mapped file, populated ahead and dropped behind, used in place.
    case map
    /// Past the page cache, into slots.
    case direct
    /// Through the page cache, which is emptied behind every read, into slots.
    case buffered

    /// Whether direct reads are tried first.
    var triesDirect: Bool { self == .auto || self == .direct }
}

/// Where weights are read from, how, and how fast.
public struct ReadingOptions: Sendable, Equatable {
    /// `direct` is an error where the file system refuses it; only `auto` falls back.
    public var mode: IOMode
    /// The path of a second copy of the model, on another drive, read at the same time; each brings as much as it is fast.
    public var mirror: String?
    /// Of all reads of weights together; nil for no limit.
    public var maxBytesPerSecond: Int?
    /// Whether a mapped file (`mode` is `map`) is guarded against losing pages that are in use: when somebody cuts the
    /// file, or the disk fails. With a guard the sweep ends in an error. It takes a handler of SIGBUS, which is a matter of
    /// the whole process, so a program has to ask for it; SIGBUS that is not about a guarded mapping goes on to the handler
    /// that was there before. Without a guard such a page ends the process by SIGBUS, as with any mapped file.
    public var guardsMapping: Bool

    public init(
        mode: IOMode = .auto, mirror: String? = nil, maxBytesPerSecond: Int? = nil, guardsMapping: Bool = false
    ) {
        self.mode = mode
        self.mirror = mirror
        self.maxBytesPerSecond = maxBytesPerSecond
        self.guardsMapping = guardsMapping
    }

    /// All copies of a file.
    func paths(of file: String) -> [String] { [file] + (mirror.map { [$0] } ?? []) }
}
