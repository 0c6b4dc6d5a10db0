internal import Glibc

/// An error that says in one sentence what failed and what to do.
///
/// Every failure that a user, a file or a client can cause is such an error. Traps are only for programmer errors.
public struct LeafError: Error, CustomStringConvertible, Sendable, Equatable {
    public enum Kind: Sendable, Equatable {
        /// The command or the call is wrong.
        case usage
        /// A file or a text is damaged or of the wrong kind.
        case badInput
        /// Reading or writing failed.
        case io
        /// It does not fit the memory budget, or the system refuses the memory.
        case budget
        /// The request needs more than the model was opened for; a smaller one would do.
        case tooLong
        /// As many requests are under way as may be; the same one may do later.
        case busy
        /// The user or the caller stopped it.
        case cancelled
    }

    /// A fact that helps. The library names it as a number; a command line, a Python call or a web page says it in the
    /// words of its own options.
    public enum Advice: Sendable, Equatable {
        /// The smallest memory budget that would do, in bytes: whole mebibytes.
        case memory(bytes: Int)
        /// Tokens of context, soft prompt included, for which a model would have to be opened.
        case context(tokens: Int)
        /// What a model would have to be opened for, by the name of its option in a program, and the least that would
        /// do.
        case opening(String, Int)
        /// The fewest beams that would do.
        case beams(Int)
        /// A setting, by its name in snake_case, and the values of it that would do; none where naming it is enough.
        case setting(String, [String] = [])
        /// A setting that would have to be left out.
        case without(String)
    }

    public let kind: Kind
    /// Lower case, no full stop: what, where, what now. One line without control characters, whatever names stand in
    /// it.
    public let description: String
    /// What would do instead, where that is known.
    public let advice: Advice?
    /// The field of a request that the sentence is about, by its name in JSON: `max_tokens`, `response_format.type`.
    /// Nil where it is about none, or about several.
    package let field: String?
    /// The `errno` of a call of the system that failed; nil for what is no such error.
    package let systemCode: Int32?

    public init(_ kind: Kind, _ description: String, advice: Advice? = nil) {
        self.init(kind, description, advice: advice, field: nil)
    }

    package init(
        _ kind: Kind, _ description: String, advice: Advice? = nil, field: String? = nil, systemCode: Int32? = nil
    ) {
        self.kind = kind
        self.description = description.printable
        self.advice = advice
        self.field = field
        self.systemCode = systemCode
    }

    /// The exit code of a command that ends with this error.
    public var exitCode: Int32 {
        switch kind {
        case .badInput, .io, .busy: 1
        case .usage: 2
        case .budget, .tooLong: 3
        case .cancelled: 130
        }
    }
}

extension LeafError {
    /// A field of a request is not as it should be: `'max_tokens' is -1, ...`.
    ///
    /// - Parameter what: follows its name.
    package static func field(_ name: String, _ what: String) -> LeafError {
        LeafError(.usage, "'\(name)' \(what)", field: name)
    }

    /// The same about a field that a request calls otherwise.
    package func about(_ field: String) -> LeafError {
        LeafError(kind, description, advice: advice, field: field, systemCode: systemCode)
    }

    /// Makes an error of a failed system call: what failed, why, and a remedy for the usual reasons.
    package static func system(_ what: String, _ code: Int32) -> LeafError {
        LeafError(
            .io, "\(what): \(reason(of: code))" + (remedy(for: code).map { "; \($0)" } ?? ""), systemCode: code)
    }

    /// Whether there was no room for what was written.
    package var isDiskFull: Bool { systemCode == ENOSPC || systemCode == EDQUOT }

    /// Whether a file may not be as large as what was written.
    package var isFileTooLarge: Bool { systemCode == EFBIG }

    /// What to do about an error of the system; nil where that depends on what failed.
    package static func remedy(for code: Int32) -> String? {
        switch code {
        case ENOENT: "check the path"
        case EACCES, EPERM: "check the permissions"
        case EROFS: "choose another place"
        case ENOSPC, EDQUOT: "free some space"
        case EFBIG: "raise the limit on the size of a file (`ulimit -f`)"
        case EMFILE, ENFILE: "close other programs or raise `ulimit -n`"
        default: nil
        }
    }

    /// What the system calls an error, in lower case.
    package static func reason(of code: Int32) -> String { String(cString: strerror(code)).lowercased() }
}
