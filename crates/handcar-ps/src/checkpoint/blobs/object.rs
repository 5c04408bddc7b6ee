//! `ObjectBlobs`: blobs in S3 or what speaks like it. Feature `object-store`.

use super::super::error::{Error, Result};
use super::super::name::{BlobName, Folder, is_component};
use super::place::PlaceConfig;
use super::{Blobs, Listed, Put, file};
use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions, RetryConfig};
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};

/// A blob this long is first asked for, so that the bytes travel only if the name is free.
const ASK_FIRST_BYTES: usize = 64 << 10;

/// Retries of one call, all within its deadline; the backoff grows from 0.1 s to 15 s.
const RETRIES_MAX: usize = 10;

/// Blobs in a bucket, each an object that is created only where none is (`If-None-Match: *`). The object store makes an
/// object visible whole and keeps it safe, so nothing is written to the side.
///
/// Every call runs on a runtime inside and ends by its deadline. Must not be called from inside another async runtime.
pub struct ObjectBlobs {
    place: String,
    prefix: Path,
    store: AmazonS3,
    deadline_ms: u64,
    /// Taken only when dropped: a name being looked up must not hold up the end of the program.
    runtime: Option<Runtime>,
}

impl fmt::Debug for ObjectBlobs {
    /// Only the place: the rest knows the credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObjectBlobs").field("place", &self.place).finish_non_exhaustive()
    }
}

impl Drop for ObjectBlobs {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl ObjectBlobs {
    /// Prepares access to `s3://bucket/prefix`; asks nothing of the network yet. Credentials, region and endpoint come
    /// from the settings under their usual names. An `http://` endpoint is accepted on the loopback interface, elsewhere
    /// only with `AWS_ALLOW_HTTP=true`.
    ///
    /// # Errors
    /// [`Error::Argument`] if URL or settings do not fit, [`Error::Storage`] if the runtime cannot start.
    pub fn open(config: &PlaceConfig) -> Result<Self> {
        let op = "checkpoint place";
        let rest = config.url.strip_prefix("s3://");
        let (bucket, prefix) = rest.map(|r| r.split_once('/').unwrap_or((r, ""))).unwrap_or_default();
        let prefix = prefix.trim_end_matches('/');
        if !is_component(bucket) || !(prefix.is_empty() || prefix.split('/').all(is_component)) {
            let expected = "s3://bucket/prefix of components [A-Za-z0-9._-]{1,64} without a leading dot";
            return Err(Error::argument(op, expected, format!("{:?}", config.url)));
        }
        if config.deadline_ms == 0 {
            return Err(Error::argument(op, "a deadline of at least 1 ms", "0"));
        }
        let unfit = |e: object_store::Error| Error::argument(op, "settings of S3", e.to_string());
        let mut builder = AmazonS3Builder::new();
        for (name, value) in config.settings.iter().filter(|(name, _)| name.starts_with("AWS_")) {
            // Many such variables concern other programs.
            if let Ok(key) = name.to_ascii_lowercase().parse() {
                builder = builder.with_config(key, value);
            }
        }
        let setting = |key| builder.get_config_value(&key);
        let endpoint = setting(AmazonS3ConfigKey::S3Endpoint).or_else(|| setting(AmazonS3ConfigKey::Endpoint));
        if let Some(authority) = endpoint.as_deref().and_then(|e| e.strip_prefix("http://")) {
            let asked = config.settings.iter().any(|(n, v)| n == "AWS_ALLOW_HTTP" && v.eq_ignore_ascii_case("true"));
            if !asked && !is_loopback(authority) {
                let expected = "an https:// endpoint, or loopback, or AWS_ALLOW_HTTP=true";
                return Err(Error::argument(op, expected, format!("http://{authority}")));
            }
            builder = builder.with_allow_http(true);
        }
        let retry = RetryConfig {
            max_retries: RETRIES_MAX,
            retry_timeout: Duration::from_millis(config.deadline_ms),
            ..Default::default()
        };
        let store = builder.with_bucket_name(bucket).with_retry(retry).build().map_err(unfit)?;
        let place = config.url.trim_end_matches('/').to_owned();
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|e| Error::Storage { op, file: place.clone(), how: e.to_string() })?;
        let prefix = Path::from(prefix);
        Ok(Self { place, prefix, store, deadline_ms: config.deadline_ms, runtime: Some(runtime) })
    }

    fn path(&self, name: &str) -> Path {
        name.split('/').fold(self.prefix.clone(), |path, part| path.join(part))
    }

    /// Runs one call to its end or its deadline. What is not there is `None`.
    fn call<T>(
        &self,
        op: &'static str,
        name: &dyn fmt::Display,
        work: impl Future<Output = object_store::Result<T>>,
    ) -> Result<std::result::Result<T, object_store::Error>> {
        let Some(runtime) = &self.runtime else { unreachable!("the runtime is taken by drop alone") };
        let deadline = Duration::from_millis(self.deadline_ms);
        match runtime.block_on(async { tokio::time::timeout(deadline, work).await }) {
            Ok(answer) => Ok(answer),
            Err(_) => Err(Error::Deadline { op, file: file(&self.place, name), deadline_ms: self.deadline_ms }),
        }
    }

    fn storage(&self, op: &'static str, name: &dyn fmt::Display, e: object_store::Error) -> Error {
        let file = file(&self.place, name);
        match e {
            object_store::Error::NotFound { .. } => Error::Missing { op, file },
            other => Error::Storage { op, file, how: other.to_string() },
        }
    }
}

/// Whether `host:port/...` is this machine itself.
fn is_loopback(authority: &str) -> bool {
    let host = authority.split('/').next().unwrap_or("");
    let host = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(""),
        None => host.split(':').next().unwrap_or(""),
    };
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

impl Blobs for ObjectBlobs {
    fn place(&self) -> String {
        self.place.clone()
    }

    fn put(&self, name: &BlobName, bytes: &[u8]) -> Result<Put> {
        if bytes.len() >= ASK_FIRST_BYTES && self.size(name)?.is_some() {
            return Ok(Put::Exists);
        }
        let path = self.path(name.as_str());
        let options = PutOptions { mode: PutMode::Create, ..Default::default() };
        match self.call("put", name, self.store.put_opts(&path, bytes.to_vec().into(), options))? {
            Ok(_) => Ok(Put::Created),
            // Perhaps by an earlier try of this very call, whose answer was lost: the caller looks what is there.
            Err(object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. }) => {
                Ok(Put::Exists)
            }
            Err(e) => Err(self.storage("put", name, e)),
        }
    }

    fn get(&self, name: &BlobName, bytes_max: u64) -> Result<Vec<u8>> {
        let path = self.path(name.as_str());
        let work = async {
            let found = self.store.get(&path).await?;
            let bytes = found.meta.size;
            if bytes > bytes_max { Ok(Err(bytes)) } else { found.bytes().await.map(Ok) }
        };
        match self.call("get", name, work)? {
            Ok(Ok(bytes)) => Ok(bytes.into()),
            Ok(Err(bytes)) => {
                Err(Error::damaged(file(&self.place, name), format!("at most {bytes_max} bytes"), bytes.to_string()))
            }
            Err(e) => Err(self.storage("get", name, e)),
        }
    }

    fn size(&self, name: &BlobName) -> Result<Option<u64>> {
        let path = self.path(name.as_str());
        match self.call("size", name, self.store.head(&path))? {
            Ok(meta) => Ok(Some(meta.size)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(e) => Err(self.storage("size", name, e)),
        }
    }

    fn list(&self, folder: &Folder) -> Result<Vec<Listed>> {
        let path = self.path(folder.as_str());
        let found = self.call("list", folder, self.store.list_with_delimiter(Some(&path)))?;
        let found = found.map_err(|e| self.storage("list", folder, e))?;
        let mut listed: Vec<Listed> = found
            .objects
            .iter()
            .filter_map(|o| Some(Listed { last: o.location.filename()?.to_owned(), bytes: o.size }))
            .filter(|l| is_component(&l.last))
            .collect();
        listed.sort();
        Ok(listed)
    }

    fn delete(&self, name: &BlobName) -> Result<()> {
        let path = self.path(name.as_str());
        match self.call("delete", name, self.store.delete(&path))? {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(e) => Err(self.storage("delete", name, e)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(url: &str, settings: &[(&str, &str)]) -> Result<ObjectBlobs> {
        let settings = settings.iter().map(|&(n, v)| (n.to_owned(), v.to_owned())).collect();
        ObjectBlobs::open(&PlaceConfig { url: url.into(), settings, ..Default::default() })
    }

    #[test]
    fn plain_http_is_for_loopback_unless_asked_for() {
        let endpoint = |e| [("AWS_ENDPOINT_URL", e)];
        for near in ["http://127.0.0.1:9000", "http://localhost:1/", "http://[::1]:9000", "https://far.example"] {
            assert!(open("s3://bucket/a", &endpoint(near)).is_ok(), "{near}");
        }
        for far in ["http://far.example:9000", "http://127.0.0.1.far.example", "http://10.0.0.1"] {
            assert!(matches!(open("s3://bucket/a", &endpoint(far)), Err(Error::Argument { .. })), "{far}");
            assert!(open("s3://bucket/a", &[("AWS_ENDPOINT_URL", far), ("AWS_ALLOW_HTTP", "true")]).is_ok());
        }
    }

    #[test]
    fn urls_that_could_lead_elsewhere_are_refused() {
        for url in
            ["s3://", "s3:///x", "s3://b/../c", "s3://b//c", "s3://b/.c", "s3://b/a b", "s3://b?x=y", "file:///x"]
        {
            assert!(matches!(open(url, &[]), Err(Error::Argument { .. })), "{url}");
        }
        let blobs = open("s3://bucket/jobs/ads/", &[("AWS_SECRET_ACCESS_KEY", "s3cret"), ("AWS_ACCESS_KEY_ID", "k")]);
        let blobs = blobs.expect("a valid place");
        assert_eq!(blobs.path("pieces/0").as_ref(), "jobs/ads/pieces/0");
        assert!(!format!("{blobs:?}").contains("s3cret"));
    }
}
