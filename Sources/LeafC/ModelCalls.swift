// swift-format-ignore-file: AlwaysUseLowerCamelCase

package import CLibrary
import LeafSystem
import LeafWire
import Leafcutter

// leafcutter.h says what each of these promises.

@c @implementation
package func lc_abi_version() -> UInt32 { LC_ABI_VERSION }

@c @implementation
package func lc_version() -> UnsafePointer<CChar>! { CText.version }

@c @implementation
package func lc_model_open(
    _ path: UnsafePointer<CChar>!, _ options: UnsafePointer<CChar>!, _ out: UnsafeMutablePointer<OpaquePointer?>!
) -> lc_status {
    Call.run(out) { () throws(HostError) in
        if HandleTable.shared.isForked { throw .forked }
        let path = try Call.path(path, "path")
        let json = try Call.optionalJSON(options)
        let host = try Call.made { () throws(LeafError) in
            try HostModel(path: path, HostOptions(json: json, for: .model))
        }
        guard let handle = HandleTable.shared.add(host, .model) else { throw Call.noHandle }
        return handle
    }
}

@c @implementation
package func lc_model_close(_ model: OpaquePointer!) {
    HandleTable.shared.remove(model, .model, HostModel.self)?.close()
}

@c @implementation
package func lc_model_info(_ model: OpaquePointer!, _ json: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>!)
    -> lc_status
{
    Call.run(json) { () throws(HostError) in try Call.given(Call.model(model).description.line) }
}

/// What all calls have in common.
enum Call {
    static let noHandle = HostError.usage("there are as many handles as there may be; free some")

    /// Makes what a call gives.
    ///
    /// - Returns: `LC_OK`, and the value where it belongs; a failure, and nil there.
    static func run<Value>(
        _ out: UnsafeMutablePointer<Value?>?, _ body: () throws(HostError) -> Value?
    ) -> lc_status {
        guard let out else { return LastError.set(.usage("there is no place for what the call gives: it is NULL")) }
        out.pointee = nil
        do throws(HostError) {
            out.pointee = try body()
            return LC_OK
        } catch {
            return LastError.set(error)
        }
    }

    /// Makes a call that gives nothing but what it came to.
    static func done(_ body: () throws(HostError) -> Void) -> lc_status {
        do throws(HostError) {
            try body()
            return LC_OK
        } catch {
            return LastError.set(error)
        }
    }

    static func made<Value>(_ make: () throws(LeafError) -> Value) throws(HostError) -> Value {
        do throws(LeafError) { return try make() } catch { throw HostError(error) }
    }

    static func model(_ handle: OpaquePointer?) throws(HostError) -> HostModel {
        switch HandleTable.shared.find(handle, .model, HostModel.self) {
        case .value(let model): return model
        case .stale: throw .closed
        case .forked: throw .forked
        case .foreign: throw .usage(handle == nil ? "the model is NULL" : "this is no model of this library")
        }
    }

    static func job(_ handle: OpaquePointer?) throws(HostError) -> HostJob {
        switch HandleTable.shared.find(handle, .job, HostJob.self) {
        case .value(let job): return job
        case .stale: throw .usage("the job was closed")
        case .forked: throw .forked
        case .foreign: throw .usage(handle == nil ? "the job is NULL" : "this is no job of this library")
        }
    }

    static func request(_ handle: OpaquePointer?) throws(HostError) -> HostRequest {
        switch HandleTable.shared.find(handle, .request, HostRequest.self) {
        case .value(let request): return request
        case .stale: throw .usage("the request was freed")
        case .forked: throw .forked
        case .foreign: throw .usage(handle == nil ? "the request is NULL" : "this is no request of this library")
        }
    }

    /// Nil for everything that is none.
    static func event(_ handle: OpaquePointer?) -> HostEvent? {
        guard case .value(let event) = HandleTable.shared.find(handle, .event, HostEvent.self) else { return nil }
        return event
    }

    /// - Throws: if it is NULL or not valid UTF-8.
    static func text(_ characters: UnsafePointer<CChar>?, _ name: String) throws(HostError) -> String {
        guard let characters else { throw .usage("the \(name) is NULL") }
        guard let text = String(validatingCString: characters) else { throw .usage("the \(name) is not valid UTF-8") }
        return text
    }

    /// - Throws: if it is NULL, not valid UTF-8, or empty.
    static func path(_ characters: UnsafePointer<CChar>?, _ name: String) throws(HostError) -> String {
        let path = try text(characters, name)
        guard !path.isEmpty else { throw .usage("the \(name) is an empty text; give the path of a file") }
        return path
    }

    /// - Throws: if it is NULL, or longer than anything that is sent.
    static func bytes(
        _ start: UnsafePointer<CChar>?, _ length: Int, _ name: String, atMost limit: Int
    ) throws(HostError) -> [UInt8] {
        guard let start else { throw .usage("the \(name) is NULL") }
        guard length >= 0, length <= limit else {
            throw .usage("the \(name) has \(UInt(bitPattern: length)) bytes, more than there is room for")
        }
        return Array(UnsafeRawBufferPointer(start: start, count: length))
    }

    /// The bytes of a JSON object, of which the reader says whether they are valid; none for NULL.
    static func optionalJSON(_ characters: UnsafePointer<CChar>?) throws(HostError) -> [UInt8] {
        guard let characters else { return [] }
        let bytes = Array(UnsafeRawBufferPointer(start: characters, count: length(of: characters)))
        guard !bytes.isEmpty else { throw .usage("the options are empty; give a JSON object, or NULL for none") }
        return bytes
    }

    private static func length(of characters: UnsafePointer<CChar>) -> Int {
        var count = 0
        while characters[count] != 0 { count += 1 }
        return count
    }

    /// A string for the host to free.
    static func given(_ text: String) throws(HostError) -> UnsafeMutablePointer<CChar> {
        guard let copy = CText.copy(text) else {
            throw HostError(LeafError(.budget, "the system gives no memory for an answer of \(text.utf8.count) bytes"))
        }
        return copy
    }
}
