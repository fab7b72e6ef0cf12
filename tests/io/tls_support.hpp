// Keys and certificates that a test makes for itself, and contexts that use them.
#pragma once

#include <openssl/evp.h>
#include <openssl/x509v3.h>

#include <boost/asio/ssl/context.hpp>
#include <memory>
#include <stdexcept>
#include <string>

namespace weft_test {

template <auto release>
struct releaser {
  template <class T>
  void operator()(T* what) const noexcept {
    release(what);
  }
};
using key_pair = std::unique_ptr<EVP_PKEY, releaser<&EVP_PKEY_free>>;
using certificate = std::unique_ptr<X509, releaser<&X509_free>>;

struct identity {
  key_pair key;
  certificate cert;
};

inline constexpr long one_day = 24 * 60 * 60;

struct identity_options {
  const identity* issuer = nullptr;  // null: signed by itself
  bool may_issue = false;
  long valid_until = 365 * one_day;  // seconds from now
};

inline void need(bool done) {
  if (!done) throw std::runtime_error("OpenSSL cannot make a certificate");
}

inline void extend(X509* cert, X509* issuer, int which, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, cert, nullptr, nullptr, 0);
  const std::unique_ptr<X509_EXTENSION, releaser<&X509_EXTENSION_free>> made(
      X509V3_EXT_nconf_nid(nullptr, &context, which, value.c_str()));
  need(made && X509_add_ext(cert, made.get(), -1) == 1);
}

// A key on a curve, for they are made quickly, and a certificate for the name.
inline identity make_identity(const std::string& name, const identity_options& how = {}) {
  static long serial = 0;
  identity made{key_pair(EVP_EC_gen("P-256")), certificate(X509_new())};
  X509* cert = made.cert.get();
  need(made.key && cert != nullptr);
  need(X509_set_version(cert, 2) == 1);
  need(ASN1_INTEGER_set(X509_get_serialNumber(cert), ++serial) == 1);
  need(X509_gmtime_adj(X509_getm_notBefore(cert), -400 * one_day) != nullptr);
  need(X509_gmtime_adj(X509_getm_notAfter(cert), how.valid_until) != nullptr);
  need(X509_set_pubkey(cert, made.key.get()) == 1);
  X509_NAME* subject = X509_get_subject_name(cert);
  need(X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
                                  reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1,
                                  0) == 1);
  const identity& issuer = how.issuer != nullptr ? *how.issuer : made;
  need(X509_set_issuer_name(cert, X509_get_subject_name(issuer.cert.get())) == 1);
  if (how.may_issue) {
    extend(cert, issuer.cert.get(), NID_basic_constraints, "critical,CA:TRUE");
  } else {
    extend(cert, issuer.cert.get(), NID_subject_alt_name, "DNS:" + name);
  }
  need(X509_sign(cert, issuer.key.get(), EVP_sha256()) > 0);
  return made;
}

inline boost::asio::ssl::context server_context(const identity& who) {
  boost::asio::ssl::context made(boost::asio::ssl::context::tls_server);
  need(SSL_CTX_use_certificate(made.native_handle(), who.cert.get()) == 1);
  need(SSL_CTX_use_PrivateKey(made.native_handle(), who.key.get()) == 1);
  return made;
}

// Verifies its peers, and believes nobody but this issuer.
inline boost::asio::ssl::context client_context(const identity& issuer) {
  boost::asio::ssl::context made(boost::asio::ssl::context::tls_client);
  made.set_verify_mode(boost::asio::ssl::verify_peer);
  need(X509_STORE_add_cert(SSL_CTX_get_cert_store(made.native_handle()), issuer.cert.get()) == 1);
  return made;
}

}  // namespace weft_test
