import CLibrary
import Glibc
import LeafFormat
import LeafSystem
import LeafWire
import Leafcutter

/// Why a call failed, for the host.
struct HostError: Error {
    let status: lc_status
    let message: String
    let json: String

    init(_ error: LeafError) {
        status =
            switch error.kind {
            case .usage: LC_USAGE
            case .badInput: LC_BAD_INPUT
            case .io: LC_IO
            case .budget, .tooLong: LC_BUDGET
            case .busy: LC_BUSY
            case .cancelled: LC_CANCELLED
            }
        message = error.description + (error.advice.map { "; " + Self.words(of: $0) } ?? "")
        var fields: [(key: String, value: JSON)] = [("code", .string(error.code)), ("message", .string(message))]
        switch error.advice {
        case .memory(let bytes): fields.append(("minimum", .integer(bytes)))
        case .context(let tokens): fields.append(("context", .integer(tokens)))
        case .opening(let option, let least): fields.append((option, .integer(least)))
        default: break
        }
        json = JSON.object(fields).line
    }

    private init(_ status: lc_status, _ code: String, _ message: String) {
        self.status = status
        self.message = message
        json = JSON.object([("code", .string(code)), ("message", .string(message))]).line
    }

    static func usage(_ message: String) -> HostError { HostError(LC_USAGE, "usage", message) }

    static let forked = HostError(
        LC_CLOSED, "closed", "it belongs to the process that this one was forked from; open it after the fork")
    static let closed = HostError(LC_CLOSED, "closed", "the model was closed")

    /// A request's end by its model's.
    static let stopped = HostError(LeafError(.cancelled, "the request was cancelled"))

    private static func words(of advice: LeafError.Advice) -> String {
        switch advice {
        case .memory(let bytes): "set memory to \(bytes >> 20)MiB or more"
        case .context(let tokens): "open the model with context \(tokens) or more"
        case .opening(let option, let least): "open the model with \(option) \(least) or more"
        case .beams(let count): "set beams to \(count)"
        case .setting(let name, let values):
            "set \(name)" + (values.isEmpty ? "" : " to \(values.joined(separator: " or "))")
        case .without(let name): "leave out \(name)"
        }
    }
}

/// The texts of one thread's last failure, which stay until its next one.
enum LastError {
    private final class Texts {
        let message: UnsafeMutablePointer<CChar>?
        let json: UnsafeMutablePointer<CChar>?

        init(_ error: HostError) {
            message = CText.copy(error.message)
            json = CText.copy(error.json)
        }

        deinit {
            free(message)
            free(json)
        }
    }

    private static let key: pthread_key_t? = {
        var key = pthread_key_t()
        let status = pthread_key_create(&key) { raw in
            if let raw { Unmanaged<Texts>.fromOpaque(raw).release() }
        }
        return status == 0 ? key : nil
    }()

    private static var current: Texts? {
        guard let key, let raw = pthread_getspecific(key) else { return nil }
        return Unmanaged<Texts>.fromOpaque(raw).takeUnretainedValue()
    }

    /// - Returns: what the call returns.
    static func set(_ error: HostError) -> lc_status {
        if let key {
            let old = pthread_getspecific(key)
            if pthread_setspecific(key, Unmanaged.passRetained(Texts(error)).toOpaque()) == 0, let old {
                Unmanaged<Texts>.fromOpaque(old).release()
            }
        }
        return error.status
    }

    static var message: UnsafePointer<CChar> { current?.message.map { UnsafePointer($0) } ?? CText.empty }
    static var json: UnsafePointer<CChar> { current?.json.map { UnsafePointer($0) } ?? CText.emptyObject }
}

/// Strings as C has them.
enum CText {
    /// From malloc; whoever takes it frees it. Nil if there is no memory.
    static func copy(_ text: String) -> UnsafeMutablePointer<CChar>? {
        var text = text
        return text.withUTF8 { bytes in
            guard let copy = malloc(bytes.count + 1) else { return nil }
            if let start = bytes.baseAddress { memcpy(copy, start, bytes.count) }
            let characters = copy.assumingMemoryBound(to: CChar.self)
            characters[bytes.count] = 0
            return characters
        }
    }

    // Never written again.
    nonisolated(unsafe) static let empty = constant("")
    nonisolated(unsafe) static let emptyObject = constant("{}")
    nonisolated(unsafe) static let version = constant(leafcutterVersion)

    /// A text for as long as the process lives.
    private static func constant(_ text: String) -> UnsafePointer<CChar> {
        let characters = UnsafeMutableBufferPointer<CChar>.allocate(capacity: text.utf8.count + 1)
        let end = characters.initialize(fromContentsOf: text.utf8.map { CChar(bitPattern: $0) })
        characters.initializeElement(at: end, to: 0)
        return UnsafePointer(characters.baseAddress!)
    }
}
