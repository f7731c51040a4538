/* Browsers start no workers in pages opened from disk (file:). There, search runs in a hidden frame instead. */
if (location.protocol === "file:") {
  window.Worker = window.IFrameWorker = class extends EventTarget {  // the theme looks for the second name
    constructor(url) {
      super()
      const frame = document.createElement("iframe")
      frame.hidden = true
      document.body.appendChild(frame)
      this.inner = frame.contentWindow
      this.forward = e => {
        if (e.source !== this.inner) return
        const copy = new MessageEvent("message", { data: e.data })
        this.dispatchEvent(copy)
        if (this.onmessage) this.onmessage(copy)
      }
      window.addEventListener("message", this.forward)
      this.ready = new Promise(done => { frame.addEventListener("load", done, { once: true }) })
      const setup = `
        self.postMessage = data => parent.postMessage(data, "*")
        self.importScripts = (...urls) => urls.reduce((before, url) => before.then(() => new Promise((done, failed) => {
          const script = document.createElement("script")
          script.src = url; script.onload = done; script.onerror = failed
          document.body.appendChild(script)
        })), Promise.resolve())`
      const page = frame.contentDocument
      page.open()
      page.write(`<body><script>${setup}<\/script><script src="${new URL(url, location)}"><\/script></body>`)
      page.close()
    }
    postMessage(data) { this.ready.then(() => this.inner.dispatchEvent(new MessageEvent("message", { data }))) }
    terminate() { window.removeEventListener("message", this.forward) }
  }
}
